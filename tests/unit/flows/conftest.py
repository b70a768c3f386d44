from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from kamu_assets.clock import ManualClock
from kamu_assets.database.messages import MessageTypes
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets import messages as dataset_messages
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows import messages as flow_messages
from kamu_assets.flows.configs.service import ConfigService
from kamu_assets.flows.model import Flow, FlowState
from kamu_assets.flows.orchestrator import RunState, RunStatus
from kamu_assets.flows.planning import FlowRules
from kamu_assets.flows.processes.listing import Processes
from kamu_assets.flows.scheduling.places import EnginePlaces
from kamu_assets.flows.scheduling.scheduler import FlowScheduler
from kamu_assets.flows.service import FlowService
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.triggers.service import TriggerService
from kamu_assets.governance.access import Access
from kamu_assets.odf.dataset import SetPollingSource, SetTransform
from kamu_assets.odf.engine import SqlQueryStep, TransformInput, TransformSql
from kamu_assets.odf.identity import DatasetID, DatasetKind
from kamu_assets.odf.source import FetchStepUrl, MergeStrategyAppend, ReadStepCsv
from kamu_assets.orchestration.workers.capacity import engine_of
from kamu_assets.webhooks import messages as webhook_messages
from kamu_assets.webhooks.receivers import SubscribedReceivers
from tests.support.builders import a_schema
from tests.support.heart import Heart, open_heart

POLLING = SetPollingSource(
    fetch=FetchStepUrl(url="http://x"), read=ReadStepCsv(ddl_schema=("id BIGINT",)), merge=MergeStrategyAppend()
)

# Schedulers that take over from one another name no run twice.
_NUMBERS = itertools.count(1)


@dataclass
class OrchestratorSimulator:
    """Remembers what it was told; tests decide what becomes of the runs."""

    runs: dict[str, RunStatus] = field(default_factory=dict)
    submitted: list[str] = field(default_factory=list)
    canceled: list[str] = field(default_factory=list)
    fails_with: Exception | None = None

    def submit(self, flow: Flow) -> None:
        assert flow.run_id is not None
        if self.fails_with is not None:
            raise self.fails_with
        if self.runs.setdefault(flow.run_id, RunStatus(RunState.WAITING)).state is RunState.MISSING:
            self.runs[flow.run_id] = RunStatus(RunState.WAITING)
        self.submitted.append(flow.run_id)

    def status(self, run_id: str) -> RunStatus:
        return self.runs.get(run_id, RunStatus(RunState.MISSING))

    def cancel(self, run_id: str) -> None:
        self.canceled.append(run_id)

    def become(self, run_id: str | None, state: RunState, message: str | None = None) -> None:
        assert run_id is not None
        self.runs[run_id] = RunStatus(state, message)


@dataclass
class Flows:
    """The scheduler and the service on a real database, an orchestrator that only pretends."""

    heart: Heart
    clock: ManualClock
    orchestrator: OrchestratorSimulator
    service: FlowService
    triggers: TriggerService
    configs: ConfigService
    processes: Processes
    scheduler: FlowScheduler

    def root(self, name: str = "root") -> DatasetEntry:
        return self.heart.dataset(name, POLLING, a_schema())

    def derivative(self, name: str, *inputs: DatasetEntry) -> DatasetEntry:
        transform = SetTransform(
            inputs=tuple(TransformInput(dataset_ref=str(each.id), alias=str(each.name)) for each in inputs),
            transform=TransformSql(engine="datafusion", queries=(SqlQueryStep(query="select 1"),)),
        )
        return self.heart.dataset(name, transform, kind=DatasetKind.DERIVATIVE)

    def push(self, dataset: DatasetEntry) -> None:
        self.clock.advance(1)
        self.heart.add_data(dataset.id)

    def of(self, dataset: DatasetEntry, *states: FlowState) -> list[Flow]:
        """The dataset's flows, oldest first."""
        return [flow for flow in reversed(self._all(dataset.id)) if not states or flow.state in states]

    def only(self, dataset: DatasetEntry) -> Flow:
        flows = self.of(dataset)
        assert len(flows) == 1, flows
        return flows[0]

    def _all(self, dataset: DatasetID) -> list[Flow]:
        with self.heart.database.reading() as tx:
            return list(FlowStore().list(tx, dataset=dataset))


@pytest.fixture
def heart(tmp_path: Path) -> Iterator[Heart]:
    heart = open_heart(tmp_path)
    yield heart
    heart.database.close()


@pytest.fixture
def flows(heart: Heart) -> Flows:
    return wired(heart)


@pytest.fixture
def limited(heart: Heart) -> Flows:
    """Where DataFusion computes one derivative at a time."""
    return wired(heart, places=EnginePlaces({"datafusion": 1}, partial(engine_of, heart.chains)))


def wired(
    heart: Heart,
    *,
    places: EnginePlaces | None = None,
    rules: FlowRules | None = None,
    orchestrator: OrchestratorSimulator | None = None,
) -> Flows:
    """Chance always says a half."""
    clock, database = heart.clock, heart.database
    types = MessageTypes([*dataset_messages.MESSAGES, *flow_messages.MESSAGES, *webhook_messages.MESSAGES])
    outbox = Outbox(database, clock=clock, types=types)

    service = FlowService(
        database=database,
        outbox=outbox,
        datasets=heart.datasets,
        access=Access(),
        clock=clock,
        rules=rules,
        receivers=SubscribedReceivers(outbox=outbox, clock=clock, stop_after=5),
        chance=lambda: 0.5,
    )
    configs = ConfigService(database=database, datasets=heart.datasets, access=Access(), chains=heart.chains)
    triggers = TriggerService(
        database=database,
        datasets=heart.datasets,
        access=Access(),
        clock=clock,
        life=service.life,
        chains=heart.chains,
    )
    orchestrator = orchestrator or OrchestratorSimulator()
    scheduler = FlowScheduler(
        database=database,
        outbox=outbox,
        flows=service,
        chains=heart.chains,
        orchestrator=orchestrator,
        clock=clock,
        max_running=3,
        places=places,
        make_id=lambda: f"run-{next(_NUMBERS)}",
    )
    return Flows(heart, clock, orchestrator, service, triggers, configs, Processes(database), scheduler)
