"""Makes parts of a node from its settings: which implementation, within which limits."""

from pathlib import Path
from typing import TYPE_CHECKING

from kamu_assets.database.database import Database
from kamu_assets.database.outbox_transport import EmbeddedTransport, Transport
from kamu_assets.database.wakeups import Wakeups
from kamu_assets.durability import Durability
from kamu_assets.egress.policy import EgressPolicy
from kamu_assets.flows.model import FlowType
from kamu_assets.flows.planning import FlowRules
from kamu_assets.flows.retrying import Backoff, RetryPolicy
from kamu_assets.settings import Settings, adapter_config
from kamu_assets.storage.local import LocalObjectStore
from kamu_assets.storage.volumes import Volumes
from kamu_assets.webhooks.model import DeliveryRules

if TYPE_CHECKING:
    from kamu_assets.coordinator.ingest.poll import PollRules
    from kamu_assets.coordinator.service import CoordinatorConfig
    from kamu_assets.engines.engine import Engine
    from kamu_assets.engines.slices.facts import Encodings
    from kamu_assets.engines.workers.pool import WorkerPool
    from kamu_assets.flows.logs.lines import RunLogs

# Seconds after which a query gives way to others that wait.
_PATIENCE = 2.0


def engine(kind: str, settings: Settings, pool: "WorkerPool", encodings: "Encodings") -> "Engine":
    """What computes transforms under a kind of `engine.names`: one of ours in `pool`, or one elsewhere (`grpc://…`)."""
    memory_bytes = settings.engine.memory_limit
    if kind == "datafusion":
        from kamu_assets.engines.pooled import PooledEngine
        from kamu_assets.engines.worker_jobs import transform

        return PooledEngine(pool, transform, memory_bytes=memory_bytes, encodings=encodings)
    if kind == "incremental":
        from kamu_assets.engines.pooled import PooledEngine
        from kamu_assets.engines.worker_jobs import transform_incrementally

        return PooledEngine(pool, transform_incrementally, memory_bytes=memory_bytes, encodings=encodings)
    from kamu_assets.engines.grpc.client import RemoteConfig, RemoteEngine
    from kamu_assets.engines.grpc.paths import Mount, PathMapping

    mounts = tuple(Mount(node, engine) for node, engine in settings.engine.mounts.items())
    address = kind.removeprefix("grpc://")
    return RemoteEngine(RemoteConfig(address, settings.engine.time_limit_seconds, PathMapping(mounts)), pool)


def run_logs(settings: Settings) -> "RunLogs":
    """What runs said. Loads Dagster, which keeps it."""
    from kamu_assets.orchestration.run_history import DagsterRunLogs

    return DagsterRunLogs(adapter_config(settings))


def transport(settings: Settings, database: Database, wakeups: Wakeups) -> Transport:
    """How processes hear of messages: through the wake-ups of a machine, or a Redis."""
    url = settings.redis_url
    if url is None:
        return EmbeddedTransport(wakeups)
    from kamu_assets.database.outbox_redis import RedisTransport
    from kamu_assets.database.outbox_stream import Stream

    return RedisTransport(database=database, stream=Stream(url), wakeups=wakeups)


def coordinator_config(settings: Settings) -> "CoordinatorConfig":
    """What ingest and transforms keep to."""
    from kamu_assets.coordinator.ingest.limits import IngestLimits
    from kamu_assets.coordinator.service import CoordinatorConfig
    from kamu_assets.engines.slices.facts import Encodings

    ingest = settings.ingest
    return CoordinatorConfig(
        base=ingest.base_path or Path.cwd(),
        ingest=IngestLimits(
            batch_rows=settings.engine.batch_rows,
            # The rest is for the reader, the writer and Python itself.
            sort_memory_bytes=settings.engine.memory_limit // 4,
        ),
        poll=_poll_rules(settings),
        encodings=Encodings(settings.storage.parquet_encoding),
        group_bytes=ingest.group_limit,
        queue_bytes=ingest.queue_limit,
    )


def _poll_rules(settings: Settings) -> "PollRules":
    from kamu_assets.coordinator.ingest.fetch.savepoints import SavepointLimits
    from kamu_assets.coordinator.ingest.limits import FetchLimits, PrepareLimits
    from kamu_assets.coordinator.ingest.poll import PollRules

    ingest = settings.ingest
    return PollRules(
        fetch=FetchLimits(
            max_bytes=ingest.max_download,
            silence_seconds=ingest.fetch_timeout_seconds,
            total_seconds=ingest.fetch_deadline_seconds,
            max_redirects=ingest.max_redirects,
        ),
        prepare=PrepareLimits(
            max_bytes=ingest.max_unpacked,
            max_ratio=ingest.max_unpack_ratio,
            max_entries=ingest.max_archive_entries,
        ),
        savepoints=SavepointLimits(max_bytes=ingest.savepoints_limit, max_seconds=ingest.savepoint_seconds),
        egress=EgressPolicy.allowing(settings.egress.allow),
        file_roots=ingest.file_roots,
    )


def flow_rules(settings: Settings) -> FlowRules:
    """What flows keep to."""
    agent = settings.flow_agent
    policies = {
        name: RetryPolicy(each.max_attempts, each.min_delay_secs, Backoff(each.backoff_type.upper()))
        for name, each in agent.default_retry_policies.items()
    }
    return FlowRules(
        throttling_seconds=agent.mandatory_throttling_period_secs,
        awaiting_step_seconds=agent.awaiting_step_secs,
        account_limit=agent.account_runs,
        retries={kind: policies[kind.full_name] for kind in FlowType if kind.full_name in policies}
        | {FlowType.WEBHOOK_DELIVER: delivery_rules(settings).retry},
    )


def delivery_rules(settings: Settings) -> DeliveryRules:
    """How patient the node is with receivers of webhooks."""
    webhooks = settings.webhooks
    return DeliveryRules(
        timeout_seconds=webhooks.timeout_seconds,
        max_attempts=webhooks.max_attempts,
        retry_seconds=webhooks.retry_seconds,
        max_consecutive_failures=webhooks.max_consecutive_failures,
    )


def engine_pool(settings: Settings, *, size: int | None = None) -> "WorkerPool":
    """Processes in which slices are ingested and transforms computed."""
    engine = settings.engine
    return _pool("engine", size or engine.workers, engine.memory_limit, engine.time_limit_seconds)


def query_pool(settings: Settings) -> "WorkerPool":
    """Processes in which queries run."""
    query = settings.query
    return _pool("query", query.workers, query.memory_limit, query.time_limit_seconds, patience=_PATIENCE)


def _pool(
    name: str, size: int, memory_bytes: int, time_seconds: float, *, patience: float | None = None
) -> "WorkerPool":
    from kamu_assets.engines.workers.limits import WorkerLimits
    from kamu_assets.engines.workers.pool import WorkerPool

    limits = WorkerLimits(memory_bytes=memory_bytes, time_seconds=time_seconds)
    return WorkerPool(name=name, size=size, limits=limits, patience=patience)


def volumes(settings: Settings, durability: Durability) -> Volumes:
    """Where the files of datasets lie."""

    def store(root: Path) -> LocalObjectStore:
        return LocalObjectStore(root, durability)

    root = store(settings.root_path)
    same = settings.root_path == settings.derivative_path
    return Volumes(root=root, derivative=root if same else store(settings.derivative_path))
