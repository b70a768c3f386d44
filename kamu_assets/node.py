"""Wires everything together, once. Only this module and `wiring`, which makes parts from settings, know what is used.

Opening a node loads neither Dagster nor an engine: pools of child processes start when they are first needed.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import structlog

from kamu_assets import wiring
from kamu_assets.auth.node_key import NodeKey
from kamu_assets.auth.service import AuthService
from kamu_assets.auth.store import AccountStore
from kamu_assets.clock import Clock, SystemClock
from kamu_assets.database.database import Database
from kamu_assets.database.errors import DatabaseOutdatedError
from kamu_assets.database.messages import MessageTypes
from kamu_assets.database.outbox import WAKEUP, Outbox
from kamu_assets.database.wakeups import Wakeups
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.chains.past import PastStates
from kamu_assets.datasets.commit.committer import Committer
from kamu_assets.datasets.doctor.doctor import Doctor
from kamu_assets.datasets.messages import MESSAGES as DATASET_MESSAGES
from kamu_assets.datasets.service import Datasets
from kamu_assets.durability import Durability
from kamu_assets.egress.policy import EgressPolicy
from kamu_assets.errors import UnavailableError
from kamu_assets.flows.configs.service import ConfigService
from kamu_assets.flows.history.listing import FlowLists
from kamu_assets.flows.messages import MESSAGES as FLOW_MESSAGES
from kamu_assets.flows.processes.listing import Processes
from kamu_assets.flows.service import FlowService
from kamu_assets.flows.triggers.service import TriggerService
from kamu_assets.governance.access import Access
from kamu_assets.setting_sections import OwnEngine
from kamu_assets.settings import Settings, secret_values
from kamu_assets.storage.workplaces import abandoned
from kamu_assets.webhooks.messages import MESSAGES as WEBHOOK_MESSAGES
from kamu_assets.webhooks.receivers import SubscribedReceivers

if TYPE_CHECKING:
    from kamu_assets.coordinator.garbage import GarbageCollection
    from kamu_assets.coordinator.reorganization import Reorganization
    from kamu_assets.coordinator.service import Coordinator
    from kamu_assets.engines.grpc.server import EngineServer
    from kamu_assets.engines.registry import EngineRegistry
    from kamu_assets.engines.slices.facts import Encodings
    from kamu_assets.engines.workers.pool import WorkerPool
    from kamu_assets.flows.logs.service import FlowLogs
    from kamu_assets.flows.requests import FlowRequests
    from kamu_assets.odf.engine import TransformSql
    from kamu_assets.odf.identity import DatasetAlias, DatasetID
    from kamu_assets.quality.service import Quality
    from kamu_assets.query.history.recorder import QueryRecorder
    from kamu_assets.query.history.service import QueryHistory
    from kamu_assets.query.service import QueryService
    from kamu_assets.webhooks.setup import WebhookParts

log = structlog.get_logger(__name__)


class UnusableFolderError(UnavailableError):
    """A folder of the home cannot be made."""

    def __init__(self, folder: Path, error: OSError) -> None:
        reason = "it is no folder" if isinstance(error, FileExistsError) else error.strerror
        super().__init__(f"{folder} cannot be used as a folder of the node: {reason}")
        self.folder = folder


class OtherVersionError(UnavailableError):
    """The database of the home is of another version than this code, and was to stay as it is."""

    def __init__(self, home: Path) -> None:
        super().__init__(f"the database of {home} is of another version than this command")


class Node:
    """One node's services, as its doors and processes use them. Close it when done."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        durability = Durability(settings.storage.durability)
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.wakeups = Wakeups(settings.run_path)
        self.database = Database.open(settings.database_url, durability=durability)
        self.volumes = wiring.volumes(settings, durability)
        self.outbox = Outbox(
            self.database,
            clock=self.clock,
            types=MessageTypes((*DATASET_MESSAGES, *FLOW_MESSAGES, *WEBHOOK_MESSAGES)),
            transport=wiring.transport(settings, self.database, self.wakeups),
        )
        self.access = Access()
        self.auth = AuthService(self.database, clock=self.clock, keys=settings.keys_path)
        given = settings.identity.ed25519_private_key
        self.key = NodeKey(settings.keys_path, given=given.get_secret_value() if given is not None else None)
        self.chains = Chains(database=self.database, volumes=self.volumes)
        self.committer = Committer(database=self.database, volumes=self.volumes, chains=self.chains, outbox=self.outbox)
        self.datasets = Datasets(
            database=self.database,
            volumes=self.volumes,
            chains=self.chains,
            committer=self.committer,
            outbox=self.outbox,
            access=self.access,
            clock=self.clock,
            check_transform=self._check_transform,
        )
        self.doctor = Doctor(
            database=self.database,
            volumes=self.volumes,
            outbox=self.outbox,
            accounts=AccountStore(),
            clock=self.clock,
        )
        self.flows = FlowService(
            database=self.database,
            outbox=self.outbox,
            datasets=self.datasets,
            access=self.access,
            clock=self.clock,
            rules=wiring.flow_rules(settings),
            receivers=SubscribedReceivers(
                outbox=self.outbox,
                clock=self.clock,
                stop_after=settings.webhooks.max_consecutive_failures,
            ),
        )
        self.triggers = TriggerService(
            database=self.database,
            datasets=self.datasets,
            access=self.access,
            clock=self.clock,
            life=self.flows.life,
            chains=self.chains,
        )
        self.flow_lists = FlowLists(self.database)
        self.processes = Processes(self.database)
        self.flow_configs = ConfigService(
            database=self.database, datasets=self.datasets, access=self.access, chains=self.chains
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prepare(self, *, repair: bool = True, migrate: bool = True) -> None:
        """Make the home ready: folders, tables, the admin; finish what a crash interrupted. Harmless when repeated."""
        settings = self.settings
        for folder in (settings.home, settings.root_path, settings.derivative_path):
            _make(folder)
        for folder in (settings.uploads_path, settings.log_path, settings.run_path):
            _make(folder)
        self.database.migrate(old=migrate)
        self.auth.ensure_admin()
        if self.key.ensure():
            self._tell_of_lost_secrets()
        if repair:
            self.datasets.repair_heads()
            self._remove_abandoned()

    def _tell_of_lost_secrets(self) -> None:
        """The key was made just now: what is encrypted already was so under another one."""
        from kamu_assets.webhooks.sealing import is_closed
        from kamu_assets.webhooks.store import SubscriptionStore

        with self.database.reading() as tx:
            lost = sum(is_closed(each.secret) for each in SubscriptionStore().all(tx))
        if lost:
            what = "restore it and restart the node, or `kamu-node webhook rotate-secret` each of them"
            log.error("node_key_was_missing", file=str(self.key.file), unreadable_webhook_secrets=lost, what_to_do=what)

    def _remove_abandoned(self) -> None:
        """What jobs that were killed left behind may be as large as what they read."""
        for folder in (*(volume.staging() for volume in self.volumes.distinct()), self.settings.uploads_path):
            for name in abandoned(folder, remove=True):
                log.info("abandoned_work_removed", path=str(folder / name))

    def warm_up(self) -> None:
        """Start child processes before the first request needs them."""
        self.engine_pool.warm_up()
        self.query_pool.warm_up()

    @cached_property
    def engine_pool(self) -> "WorkerPool":
        """Where slices are ingested and transforms computed."""
        return wiring.engine_pool(self.settings)

    @cached_property
    def verify_pool(self) -> "WorkerPool":
        """Where slices are read and results computed that somebody wants verified: nobody else need wait for that."""
        return wiring.engine_pool(self.settings, size=os.cpu_count() or 1)

    @cached_property
    def query_pool(self) -> "WorkerPool":
        """Where queries run."""
        return wiring.query_pool(self.settings)

    @cached_property
    def coordinator(self) -> "Coordinator":
        """Ingests and computes."""
        from kamu_assets.coordinator.service import Coordinator

        config = wiring.coordinator_config(self.settings)
        return Coordinator(
            datasets=self.datasets,
            database=self.database,
            chains=self.chains,
            committer=self.committer,
            volumes=self.volumes,
            ingest_pool=self.engine_pool,
            verify_pool=self.verify_pool,
            engines=self._engines(config.encodings, self.engine_pool),
            verify_engines=self._engines(config.encodings, self.verify_pool),
            clock=self.clock,
            config=config,
            reorganization=self.reorganization,
            variables={name: value.get_secret_value() for name, value in self.settings.ingest.variables.items()},
        )

    @cached_property
    def reorganization(self) -> "Reorganization":
        """Resets and compacts."""
        from kamu_assets.coordinator.reorganization import Reorganization
        from kamu_assets.engines.slices.facts import Encodings

        return Reorganization(
            datasets=self.datasets,
            database=self.database,
            chains=self.chains,
            committer=self.committer,
            outbox=self.outbox,
            volumes=self.volumes,
            pool=self.verify_pool,
            clock=self.clock,
            encodings=Encodings(self.settings.storage.parquet_encoding),
        )

    @cached_property
    def flow_requests(self) -> "FlowRequests":
        """Has things done to datasets that do more than bring them up to date."""
        from kamu_assets.flows.requests import FlowRequests

        return FlowRequests(
            database=self.database,
            datasets=self.datasets,
            chains=self.chains,
            access=self.access,
            clock=self.clock,
            resets=self.reorganization,
            life=self.flows.life,
        )

    @cached_property
    def garbage(self) -> "GarbageCollection":
        """Removes what resets, compactions and failed writes leave."""
        from kamu_assets.coordinator.garbage import GarbageCollection

        return GarbageCollection(self.datasets, self.database, self.volumes, self.clock)

    def _check_transform(self, transform: "TransformSql") -> None:
        """What an engine of ours refuses whatever the data is."""
        if self.settings.engine.names.get(transform.engine) == "incremental":
            from kamu_assets.engines.incremental.beforehand import check_beforehand

            check_beforehand(transform)

    def _engines(self, encodings: "Encodings", pool: "WorkerPool") -> "EngineRegistry":
        """The implementation for each name that a manifest may give."""
        from kamu_assets.engines.registry import EngineRegistry

        names = self.settings.engine.names
        kinds = {kind: wiring.engine(kind, self.settings, pool, encodings) for kind in names.values()}
        return EngineRegistry({name: kinds[kind] for name, kind in names.items()})

    @cached_property
    def query(self) -> "QueryService":
        """Answers questions."""
        return self._queries(self.query_pool, self.settings.query.memory_limit)

    @cached_property
    def quality(self) -> "Quality":
        """Checks what datasets promise of their rows."""
        from kamu_assets.quality.service import Quality

        # It reads as much as transforms do, and nobody waits for it as for a query.
        queries = self._queries(self.engine_pool, self.settings.engine.memory_limit)
        return Quality(database=self.database, datasets=self.datasets, chains=self.chains, queries=queries)

    def _queries(self, pool: "WorkerPool", memory_bytes: int) -> "QueryService":
        from kamu_assets.query.service import QueryService

        return QueryService(
            datasets=self.datasets,
            chains=self.chains,
            past=PastStates(database=self.database, volumes=self.volumes),
            volumes=self.volumes,
            pool=pool,
            recorder=self.query_recorder,
            memory_bytes=memory_bytes,
            max_rows=self.settings.query.max_rows,
        )

    @cached_property
    def query_history(self) -> "QueryHistory":
        """Tells what was asked, and is being asked."""
        from kamu_assets.query.history.service import QueryHistory

        return QueryHistory(self.database, clock=self.clock)

    @cached_property
    def query_recorder(self) -> "QueryRecorder":
        """Notes what is asked in this process."""
        from kamu_assets.query.history.recorder import QueryRecorder

        return QueryRecorder(self.query_history if self.settings.query.keep_days else None, clock=self.clock)

    @cached_property
    def webhooks(self) -> "WebhookParts":
        """Subscriptions, and what delivers to them."""
        from kamu_assets.webhooks.setup import webhook_parts

        return webhook_parts(
            database=self.database,
            outbox=self.outbox,
            access=self.access,
            clock=self.clock,
            policy=EgressPolicy.allowing(self.settings.egress.allow),
            life=self.flows.life,
            rules=wiring.delivery_rules(self.settings),
            allow_http=self.settings.webhooks.allow_http,
            key=partial(self.key.derived, "webhook secrets"),
        )

    @cached_property
    def flow_logs(self) -> "FlowLogs":
        """Tells users what their flows did."""
        from kamu_assets.flows.logs.cleaning import DATA
        from kamu_assets.flows.logs.service import FlowLogs
        from kamu_assets.monitoring.whereabouts import PathNamer

        settings = self.settings
        return FlowLogs(
            database=self.database,
            flows=self.flows,
            datasets=self.datasets,
            runs=partial(wiring.run_logs, settings),
            wakeups=self.wakeups,
            paths=PathNamer([("<node>", settings.home), (DATA, settings.root_path), (DATA, settings.derivative_path)]),
            secrets_of=self._secrets_of,
        )

    def _secrets_of(self, dataset: "DatasetID | None") -> Iterator[str]:
        """What may turn up in the log of a flow and nobody should read: the node's own, and the dataset's."""
        from kamu_assets.datasets.store import DatasetStore
        from kamu_assets.flows.logs.source_secrets import secrets_of_sources

        yield from secret_values(self.settings)
        yield from self.webhooks.service.secrets()
        with self.database.reading() as tx:
            is_there = dataset is not None and DatasetStore().find(tx, dataset) is not None
        if dataset is not None and is_there:
            yield from secrets_of_sources(self.chains, dataset)

    @contextmanager
    def hearing_others(self) -> "Iterator[None]":
        """Hear of what other machines do as soon as those there; for processes that live long, until the end."""
        from kamu_assets.database.wakeups_afar import Carrier
        from kamu_assets.orchestration.scheduler.leader import ROLE
        from kamu_assets.orchestration.workers.warm_queue import CANCELS_TOPIC, RUNS_TOPIC

        topics = (WAKEUP, RUNS_TOPIC, CANCELS_TOPIC, ROLE)
        with Carrier(database=self.database, wakeups=self.wakeups, topics=topics).running():
            yield

    def close(self) -> None:
        """End the child processes and the connections."""
        if "flow_logs" in self.__dict__:
            self.flow_logs.close()
        for pool in ("engine_pool", "verify_pool", "query_pool"):
            if pool in self.__dict__:
                self.__dict__[pool].close()
        if "query_recorder" in self.__dict__:
            self.query_recorder.close()
        self.outbox.close()
        self.database.close()


def open_node(settings: Settings, *, clock: Clock | None = None, repair: bool = True, migrate: bool = True) -> Node:
    """The node in `settings.home`, made first if it is new; without `repair` the doctor finds what a crash left.

    Without `migrate` a database of an older version is refused (OtherVersionError).
    """
    _make(settings.home)
    node = Node(settings, clock=clock)
    try:
        node.prepare(repair=repair, migrate=migrate)
    except DatabaseOutdatedError as error:
        node.close()
        raise OtherVersionError(settings.home) from error
    except BaseException:
        node.close()
        raise
    return node


def registered_aliases(settings: Settings) -> "Sequence[DatasetAlias]":
    """What datasets are called, by name; nothing is made or brought up to date for that."""
    from kamu_assets.datasets.store import DatasetStore

    if settings.database.url is None and not (settings.home / "node.db").exists():
        return []
    database = Database.open(settings.database_url)
    try:
        with database.reading() as tx:
            return [entry.alias for entry in DatasetStore().list(tx)]
    finally:
        database.close()


@contextmanager
def engine_server(settings: Settings, kind: OwnEngine, *, host: str, port: int) -> "Iterator[EngineServer]":
    """An engine of ours for other coordinators, without a node: it needs neither home nor database."""
    from kamu_assets.engines.grpc.server import EngineServer
    from kamu_assets.engines.slices.facts import Encodings

    pool = wiring.engine_pool(settings)
    try:
        served = wiring.engine(kind, settings, pool, Encodings(settings.storage.parquet_encoding))
        with EngineServer(served, host=host, port=port, calls=settings.engine.workers) as server:
            yield server
    finally:
        pool.close()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableFolderError(folder, error) from error
