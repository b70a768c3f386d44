"""A node's Dagster on a temporary home with free ports: real processes, real storages, real commits.

The coordinator alone is a stand-in: it commits real slices of invented records, and does what a dataset's name says.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dagster import DagsterInstance

from kamu_assets.clock import SystemClock
from kamu_assets.coordinator.results import NothingToPoll, PullResult, Updated, UpToDate
from kamu_assets.database.database import Database
from kamu_assets.database.errors import DatabaseBusyError
from kamu_assets.database.messages import MessageTypes
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.outbox_transport import EmbeddedTransport
from kamu_assets.database.wakeups import Wakeups
from kamu_assets.datasets import messages as dataset_messages
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.commit.committer import Committer
from kamu_assets.datasets.model import DatasetEntry, NewSlice
from kamu_assets.datasets.service import Datasets
from kamu_assets.durability import Durability
from kamu_assets.egress.policy import EgressPolicy
from kamu_assets.errors import InvalidError
from kamu_assets.flows import messages as flow_messages
from kamu_assets.flows.model import Flow, FlowState, FlowType
from kamu_assets.flows.planning import FlowRules
from kamu_assets.flows.requests import FlowRequests
from kamu_assets.flows.service import FlowService
from kamu_assets.flows.store import FlowStore
from kamu_assets.governance.access import Access
from kamu_assets.odf.dataset import ExecuteTransform, ExecuteTransformInput, MetadataEvent, SetTransform
from kamu_assets.odf.engine import SqlQueryStep, TransformInput, TransformSql
from kamu_assets.odf.identity import DatasetID, DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.orchestration.catalog.rows import Catalog
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.instance import open_instance, prepare
from kamu_assets.orchestration.processes import ProcessCommand
from kamu_assets.orchestration.reports.materialization import Materializations
from kamu_assets.orchestration.workers.capacity import EngineCapacity
from kamu_assets.orchestration.workers.warm_queue import WarmQueue
from kamu_assets.webhooks import messages as webhook_messages
from kamu_assets.webhooks.model import DeliveryRules
from kamu_assets.webhooks.receivers import SubscribedReceivers
from kamu_assets.webhooks.setup import webhook_parts
from tests.support.builders import a_schema
from tests.support.coordination import a_reorganization
from tests.support.heart import Heart, an_entry, open_heart
from tests.support.ports import free_ports
from tests.support.waiting import wait_until

RECORDS = 10


@dataclass
class Parts:
    """The heart with its messages wired to wake-ups, on the clock of the machine."""

    home: Path
    config: AdapterConfig
    heart: Heart = field(init=False)

    def __post_init__(self) -> None:
        self.heart = open_heart(self.home, url=self.config.database_url)
        self.clock = SystemClock()
        self.database: Database = self.heart.database
        self.wakeups = Wakeups(self.config.run_directory)
        types = MessageTypes([*dataset_messages.MESSAGES, *flow_messages.MESSAGES, *webhook_messages.MESSAGES])
        self.outbox = Outbox(self.database, clock=self.clock, types=types, transport=EmbeddedTransport(self.wakeups))
        volumes = self.heart.volumes
        self.chains = Chains(database=self.database, volumes=volumes)
        self.committer = Committer(database=self.database, volumes=volumes, chains=self.chains, outbox=self.outbox)
        self.datasets = Datasets(
            database=self.database,
            volumes=volumes,
            chains=self.chains,
            committer=self.committer,
            outbox=self.outbox,
            access=Access(),
            clock=self.clock,
        )
        self.heart.committer = self.committer
        self.heart.chains = self.chains
        self.flows = FlowService(
            database=self.database,
            outbox=self.outbox,
            datasets=self.datasets,
            access=Access(),
            clock=self.clock,
            # Tests wait for nothing that does not happen.
            rules=FlowRules(throttling_seconds=0, retries={FlowType.WEBHOOK_DELIVER: DeliveryRules().retry}),
            receivers=SubscribedReceivers(outbox=self.outbox, clock=self.clock, stop_after=1),
        )
        self.webhooks = webhook_parts(
            database=self.database,
            outbox=self.outbox,
            access=Access(),
            clock=self.clock,
            policy=EgressPolicy.allowing(["127.0.0.1"]),
            life=self.flows.life,
            rules=DeliveryRules(),
            allow_http=True,
            key=lambda: bytes(32),
        )
        self.catalog = Catalog(
            database=self.database, chains=self.chains, volumes=volumes, node_url=self.config.node_url
        )
        self.materializations = Materializations(database=self.database, chains=self.chains, volumes=volumes)
        # Its engine computes one derivative at a time.
        capacity = EngineCapacity({"datafusion": 1})
        self.queue = WarmQueue(database=self.database, wakeups=self.wakeups, clock=self.clock, capacity=capacity)

    def root(self, name: str) -> DatasetEntry:
        return self.heart.dataset(name)

    def derivative(self, name: str, *inputs: DatasetEntry) -> DatasetEntry:
        entry = an_entry(name, kind=DatasetKind.DERIVATIVE)
        transform = SetTransform(
            inputs=tuple(TransformInput(dataset_ref=str(each.id), alias=f"i{n}") for n, each in enumerate(inputs)),
            transform=TransformSql(engine="datafusion", queries=(SqlQueryStep(query="select * from i0"),)),
        )
        self.committer.create(entry, (transform, a_schema()), system_time=self.clock.now())
        return entry

    def push(self, dataset: DatasetID, *, records: int = RECORDS) -> Multihash:
        return self.heart.add_data(dataset, records=records)

    def requests(self) -> FlowRequests:
        """How people ask for flows of any type."""
        return FlowRequests(
            database=self.database,
            datasets=self.datasets,
            chains=self.chains,
            access=Access(),
            clock=self.clock,
            resets=a_reorganization(self.heart),
            life=self.flows.life,
        )

    def flow_of(self, dataset: DatasetID) -> Flow | None:
        """The dataset's newest flow."""
        with self.database.reading() as tx:
            return next(iter(FlowStore().list(tx, dataset=dataset, limit=1)), None)

    def flows_of(self, dataset: DatasetID) -> list[Flow]:
        with self.database.reading() as tx:
            return list(FlowStore().list(tx, dataset=dataset))

    def finished(self, dataset: DatasetID, *, count: int = 1) -> list[Flow]:
        """The dataset's flows once so many have ended and none is left."""

        def ended() -> list[Flow] | None:
            flows = self.flows_of(dataset)
            done = [flow for flow in flows if flow.state is FlowState.FINISHED]
            return done if len(done) >= count and len(done) == len(flows) else None

        return wait_until(ended)


class StandInCoordinator:
    """Adds records to roots named `polled…`, as many to a derivative as its inputs gained; `slow`, `broken`, `busy`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._refused: set[DatasetID] = set()

    def pull(
        self,
        _caller: object,
        dataset: DatasetID,
        *,
        run_id: str | None = None,
        fetch_uncacheable: bool = False,  # noqa: ARG002 - as the coordinator has it
        max_slices: int | None = None,  # noqa: ARG002 - as above
        on_progress: object = None,  # noqa: ARG002 - as above
    ) -> PullResult:
        entry = self._parts.catalog.entry(dataset)
        name = str(entry.name)
        if "broken" in name:
            raise InvalidError(f"{name} is broken on purpose")
        if name.startswith("buggy"):
            raise RuntimeError(f"{name} was not expected")
        if "busy" in name and dataset not in self._refused:
            # The first time only.
            self._refused.add(dataset)
            raise DatabaseBusyError
        if "slow" in name:
            time.sleep(30)
        if entry.kind is DatasetKind.DERIVATIVE:
            return self._transform(entry, run_id)
        if not name.startswith("polled"):
            return NothingToPoll()
        return self._add(entry, run_id)

    def _add(self, entry: DatasetEntry, run_id: str | None) -> PullResult:
        from tests.support.heart import that_adds

        state = self._parts.chains.state(entry.id)
        new = self._parts.heart.a_slice(start=state.next_offset, records=RECORDS)
        return self._commit(entry, that_adds(new, state), [new], run_id)

    def _transform(self, entry: DatasetEntry, run_id: str | None) -> PullResult:
        state = self._parts.chains.state(entry.id)
        read = {each.dataset_id: each for each in state.last_transform.query_inputs} if state.last_transform else {}
        with self._parts.database.reading() as tx:
            inputs = self._parts.heart.datasets._lineage.inputs(tx, entry.id)
        sources = [self._input(dataset, read.get(dataset)) for dataset in inputs]
        if all(each.new_offset is None for each in sources):
            return UpToDate()
        new = self._parts.heart.a_slice(start=state.next_offset, records=RECORDS)
        event = ExecuteTransform(query_inputs=tuple(sources), prev_offset=state.last_offset, new_data=new.data_slice)
        result = self._commit(entry, event, [new], run_id)
        if "dying" in str(entry.name) and state.last_offset is None:
            # As if the worker were killed after its commit, before it can say so.
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    def _input(self, dataset: DatasetID, before: ExecuteTransformInput | None) -> ExecuteTransformInput:
        state = self._parts.chains.state(dataset)
        last_block = before.last_block_hash if before else None
        last_offset = before.last_offset if before else None
        moved = state.last_offset != last_offset
        return ExecuteTransformInput(
            dataset_id=dataset,
            prev_block_hash=last_block,
            new_block_hash=state.head if moved else None,
            prev_offset=last_offset,
            new_offset=state.last_offset if moved else None,
        )

    def _commit(
        self, entry: DatasetEntry, event: MetadataEvent, files: list[NewSlice], run_id: str | None
    ) -> PullResult:
        head = self._parts.chains.head(entry.id)
        result = self._parts.committer.commit(
            entry.id,
            expected_head=head,
            events=[event],
            files=files,
            system_time=self._parts.clock.now(),
            run_id=run_id,
        )
        return Updated.of(result)


@dataclass
class DagsterHome:
    """A prepared home and the processes started on it."""

    parts: Parts
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def config(self) -> AdapterConfig:
        return self.parts.config

    def start(self, command: ProcessCommand) -> subprocess.Popen[bytes]:
        env = {**os.environ, **command.env, "TEST_NODE_HOME": str(self.parts.home)}
        log = (self.parts.home / f"{command.name}.log").open("ab")
        process = subprocess.Popen(
            command.argv,
            env=env,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # As the supervisor does: Dagster's daemon ignores SIGTERM where SIGINT is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - safe beside threads
        )
        log.close()
        self.processes.append(process)
        return process

    def start_own(self, role: str) -> subprocess.Popen[bytes]:
        """The scheduler or a worker of the stand-in node."""
        import sys

        env = {"DAGSTER_HOME": str(self.config.dagster_home), "TEST_NODE_DATABASE_URL": self.config.database_url}
        argv = (sys.executable, "-m", "tests.support.dagster_process", role, *_ports(self.config))
        process = self.start(ProcessCommand(role, argv, env))
        if role == "worker":
            wait_until(lambda: self.parts.queue.has_room(None))
        return process

    @contextlib.contextmanager
    def instance(self) -> Iterator[DagsterInstance]:
        with open_instance(self.config) as instance:
            yield instance

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@contextlib.contextmanager
def dagster_home(folder: Path, *, database_url: str | None = None) -> Iterator[DagsterHome]:
    """On SQLite, or all of it on the given PostgreSQL."""
    catalog, flows, webserver = free_ports(3)
    config = config_of(folder, catalog=catalog, flows=flows, webserver=webserver, database_url=database_url)
    with home_of(config) as home:
        yield home


@contextlib.contextmanager
def home_of(config: AdapterConfig) -> Iterator[DagsterHome]:
    """A prepared home beside the node's other files."""
    folder = config.dagster_home.parent
    parts = Parts(folder, config)
    prepare(config)
    home = DagsterHome(parts)
    try:
        yield home
    finally:
        home.stop()
        parts.database.close()


def config_of(
    folder: Path, *, catalog: int, flows: int, webserver: int, database_url: str | None = None
) -> AdapterConfig:
    return AdapterConfig(
        dagster_home=folder / "dagster",
        run_directory=folder / "run",
        database_url=database_url or f"sqlite:///{folder / 'node.db'}",
        postgres_url=database_url if database_url and database_url.startswith("postgresql") else None,
        durability=Durability.FAST.value,
        catalog_port=catalog,
        flows_port=flows,
        webserver_port=webserver,
    )


def _ports(config: AdapterConfig) -> tuple[str, ...]:
    return (str(config.catalog_port), str(config.flows_port), str(config.webserver_port))
