"""Plays recorded calls about flows at our services: runs are pretended, the clock is moved as it was then."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from kamu_assets.auth.model import Account, Caller
from kamu_assets.coordinator.compaction_plan import InvalidLimitError
from kamu_assets.datasets.model import DatasetEntry, Pushed
from kamu_assets.errors import InvalidError
from kamu_assets.flows.errors import (
    FlowPreconditionsNotMetError,
    FlowTypeNotSupportedError,
    IncompatibleDatasetKindError,
    InvalidFlowConfigError,
    InvalidStopPolicyError,
    InvalidTriggerError,
)
from kamu_assets.flows.model import Flow, FlowOutcome, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.requests import FlowRequests
from kamu_assets.flows.retrying import PLAIN
from kamu_assets.flows.store import FlowStore
from kamu_assets.governance.access import Access
from kamu_assets.odf.dataset import SetTransform
from kamu_assets.odf.identity import DatasetKind
from kamu_assets.odf.serde.yaml import parse_snapshot
from kamu_assets.odf.snapshot import normalize_snapshot
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.webhooks.dispatcher import Dispatcher
from kamu_assets.webhooks.model import EventType, Subscription, SubscriptionStatus
from kamu_assets.webhooks.post import Post
from kamu_assets.webhooks.store import SubscriptionStore
from tests.support.builders import a_schema
from tests.support.flow_answers import differences, flow_answer, process_answer
from tests.support.flow_calls import Call, call_of, dataset_in
from tests.support.heart import ADMIN, account
from tests.unit.flows.computing import DONE, NOTHING_NEW, Computing
from tests.unit.flows.conftest import Flows

RECORDED = Path(__file__).with_name("recorded_flows")
SEED = Path(__file__).with_name("recorded_rest") / "webui" / "seed.json"
# Their files are not there.
_FAILING = ("miss", "broken", "stopped", "retrying")
# Calls read the clock of the server, whatever a scenario says; nobody moved that.
CALLED = Timestamp.parse("2026-11-25T22:00:00Z")
REFUSALS: dict[type[InvalidError], str] = {
    InvalidTriggerError: "FlowInvalidTriggerInputError",
    InvalidStopPolicyError: "FlowInvalidTriggerStopPolicyInputError",
    InvalidFlowConfigError: "FlowInvalidConfigInputError",
    InvalidLimitError: "FlowInvalidRunConfigurations",
    FlowTypeNotSupportedError: "FlowTypeIsNotSupported",
    IncompatibleDatasetKindError: "FlowIncompatibleDatasetKind",
    FlowPreconditionsNotMetError: "FlowPreconditionsNotMet",
}
FAILED = FlowOutcome(OutcomeKind.FAILED, "no such file")

Json = Any


class FlowPlayer:
    """A scheduler and the datasets of a scenario."""

    def __init__(self, flows: Flows) -> None:
        self.flows = flows
        self._computing = Computing(flows.heart)
        self._requests = FlowRequests(
            database=flows.heart.database,
            datasets=flows.heart.datasets,
            chains=flows.heart.chains,
            access=Access(),
            clock=flows.clock,
            resets=self._computing,
            life=flows.service.life,
        )
        life, database, outbox = flows.service.life, flows.heart.database, flows.service._outbox
        post = Post(clock=flows.clock, life=life)
        self._dispatcher = Dispatcher(database=database, outbox=outbox, post=post, life=life)
        self._datasets: dict[str, DatasetEntry] = {}
        # The kind of error that the last call met.
        self.refusal: str | None = None

    def play(self, step: Json) -> None:
        """Have the same asked for; what only reads does nothing."""
        if "clock" in step:
            self._pass_time(until=Timestamp.parse(step["clock"]))
            return
        request = step.get("request", step)
        if "graphql" in request:
            played = self.flows.clock.now()
            self.flows.clock.set(CALLED)
            self._call(request, step.get("capture", {}), by=step["as"])
            self.flows.clock.set(played)
        elif pushed := request if "body" in request else step.get("rest"):
            _, owner, name, _ = pushed["path"].split("/")
            rows = pushed["body"].strip().count("\n") + 1
            self.flows.heart.add_data(self.dataset(f"{owner}/{name}").id, records=rows, push=Pushed())

    def settle(self) -> None:
        """Let all run that begins now."""
        while self._dispatcher.step():
            pass
        self.flows.scheduler.step()
        while running := self._running():
            for flow in running:
                self.flows.service.run_started(str(flow.run_id))
                self.flows.service.run_finished(str(flow.run_id), self._outcome(flow))
            self.flows.scheduler.step()

    def _pass_time(self, *, until: Timestamp) -> None:
        """What is due meanwhile is queued when it is due."""
        while (due := self.flows.scheduler.step()) is not None and due < until:
            self.flows.clock.set(due)
        self.flows.clock.set(until)

    def compare(self, step: Json) -> Iterator[str]:
        """What a step shows of flows or of what keeps a dataset up to date, and we show otherwise."""
        text = _text(step["request"])
        call = call_of(text, {})
        yield from self.compare_refusal(call, step["expect"]["json"], step["name"])
        dataset = dataset_in(text, {})
        shown = step["expect"]["json"]["data"]
        if call is None or dataset is None or shown.get("datasets") is None:
            return
        theirs = shown["datasets"]["byId"]["flows"]
        if call.name == "listFlows" and not call.arguments.get("filters"):
            yield from self._compare_list(theirs["runs"]["listFlows"], dataset, call, step["name"])
        elif call.name == "summary":
            process = next(each for each in self._processes() if each.dataset_id == self.dataset(dataset).id)
            yield from differences(theirs["processes"]["primary"]["summary"], process_answer(process), step["name"])

    def compare_refusal(self, call: Call | None, answer: Json, at: str) -> Iterator[str]:
        """Whether what was asked for was refused there, and here, and why."""
        theirs = _kind(answer, call.name) if call and call.name.startswith(("set", "trigger")) else None
        if theirs is not None and (None if theirs.endswith("Success") else theirs) != self.refusal:
            yield f"{at}: {theirs} there, {self.refusal or 'accepted'} here"

    def answer(self, dataset: str, number: int) -> Json:
        """A flow of a dataset, oldest first."""
        flow = self.flows.of(self.dataset(dataset))[number]
        return flow_answer(flow, self.flows.service.events(ADMIN, flow.id))

    def dataset(self, name: str) -> DatasetEntry:
        return self._datasets[name.removeprefix("${dataset ").strip("${}")]

    def _compare_list(self, theirs: Json, dataset: str, call: Call, at: str) -> Iterator[str]:
        ours = list(reversed(self.flows.of(self.dataset(dataset))))
        if theirs.get("totalCount", len(ours)) != len(ours):
            yield f"{at}: {theirs['totalCount']} flows there, {len(ours)} here"
        first = call.arguments.get("page", 0) * call.arguments.get("perPage", 10)
        for their, flow in zip(theirs["nodes"], ours[first:], strict=False):
            yield from differences(their, flow_answer(flow, self.flows.service.events(ADMIN, flow.id)), at)

    def _call(self, request: Json, captured: Json, *, by: str) -> None:
        text, variables = _text(request), request.get("variables") or {}
        call = call_of(text, variables)
        if call is None:
            return
        if call.name == "createFromSnapshot":
            self._create(call.arguments["snapshot"], by, captured)
        elif call.name == "createEmpty":
            name, kind = call.arguments["datasetAlias"], DatasetKind(call.arguments["datasetKind"].title())
            self._datasets[name] = self.flows.heart.dataset(name.replace("/", "."), kind=kind)
        else:
            self.do(call, dataset_in(text, variables), by=by)

    def do(self, call: Call, dataset: str | None, *, by: str) -> None:
        """Carry out a call about a dataset, or about all of an account, and note why it is refused."""
        self.refusal = None
        try:
            for entry in [self.dataset(dataset)] if dataset else list(self._own(by)):
                self._do(call, entry, account(by, admin=True))
        except InvalidError as error:
            self.refusal = REFUSALS[type(error)]

    def _do(self, call: Call, entry: DatasetEntry, by: Account) -> None:
        triggers, configs = self.flows.triggers, self.flows.configs
        match call.name:
            case "triggerIngestFlow" | "triggerTransformFlow" | "triggerCompactionFlow" if call.type:
                self._requests.run(Caller(by), entry.id, call.type, call.config or PLAIN)
            case "createSubscription":
                self._subscribe(entry, call.arguments["input"])
            case "setTrigger":
                triggers.set(ADMIN, entry.id, call.rule, stop_after=call.stop_after, type_=call.type)
            case "setIngestConfig" | "setCompactionConfig" if call.config:
                configs.set(ADMIN, entry.id, call.config)
            case "pauseFlow" | "pauseFlows" | "pauseAccountDatasetFlows":
                triggers.pause(ADMIN, entry.id, type_=call.type)
            case "resumeFlow" | "resumeAccountDatasetFlows":
                triggers.resume(ADMIN, entry.id, type_=call.type)

    def _subscribe(self, entry: DatasetEntry, wanted: Json) -> None:
        made = Subscription(
            id=wanted["targetUrl"],
            dataset_id=entry.id,
            target_url=wanted["targetUrl"],
            event_types=(EventType.DATASET_REF_UPDATED,),
            label=wanted["label"],
            status=SubscriptionStatus.ENABLED,
            secret=SecretStr("secret"),
            created_at=self.flows.clock.now(),
            told_head=self.flows.heart.chains.state(entry.id).head,
        )
        with self.flows.heart.database.transaction() as tx:
            SubscriptionStore().add(tx, made)

    def _create(self, manifest: str, owner: str, captured: Json) -> None:
        snapshot = normalize_snapshot(parse_snapshot(manifest))
        events = [self._known(event) for event in snapshot.metadata]
        if snapshot.kind is DatasetKind.ROOT:
            events.append(a_schema())
        name = f"{snapshot.name.account or owner}/{snapshot.name.name}"
        self._datasets[name] = self.flows.heart.dataset(name.replace("/", "."), *events, kind=snapshot.kind)
        if snapshot.kind is DatasetKind.DERIVATIVE:
            # Here it follows its inputs where nobody says otherwise.
            self.flows.triggers.pause(ADMIN, self._datasets[name].id)
        for variable in captured:
            self._datasets[variable] = self._datasets[name]

    def _known(self, event: Json) -> Json:
        """Inputs are known by their names there, by their ids here."""
        if not isinstance(event, SetTransform):
            return event
        inputs = []
        for each in event.inputs:
            there = next(entry for name, entry in self._datasets.items() if name.endswith(each.dataset_ref))
            inputs.append(each.model_copy(update={"dataset_ref": str(there.id)}))
        return event.model_copy(update={"inputs": tuple(inputs)})

    def _own(self, owner: str) -> Iterator[DatasetEntry]:
        return (entry for name, entry in self._datasets.items() if name.startswith(f"{owner}/"))

    def _outcome(self, flow: Flow) -> FlowOutcome:
        if flow.type is FlowType.WEBHOOK_DELIVER:
            # Hosts of the recordings are nowhere.
            return FlowOutcome(OutcomeKind.FAILED, "Failed to connect")
        if any(flow.dataset_id == entry.id for name, entry in self._datasets.items() if name.endswith(_FAILING)):
            return FAILED
        if flow.type is FlowType.HARD_COMPACTION:
            return NOTHING_NEW
        return self._computing.run(flow) if flow.type is FlowType.EXECUTE_TRANSFORM else DONE

    def _running(self) -> list[Flow]:
        with self.flows.heart.database.reading() as tx:
            return [flow for flow in FlowStore().running(tx) if flow.state is FlowState.RUNNING]

    def _processes(self) -> Json:
        return self.flows.processes.list(ADMIN)


def _kind(answer: Json, call: str) -> str | None:
    """The type of what a call gave."""
    while isinstance(answer, dict):
        if call in answer:
            given = answer[call]
            return given.get("__typename") if isinstance(given, dict) else None
        answer = next((each for name, each in answer.items() if isinstance(each, dict) and name != "errors"), None)
    return None


def scenario(name: str) -> list[Json]:
    """The steps, the first of which sets the clock."""
    recorded = json.loads((RECORDED / f"{name}.json").read_text())
    return [{"clock": recorded["server"]["clock"]}, *recorded["steps"]]


def _text(request: Json) -> str:
    return request["graphql"] if isinstance(request["graphql"], str) else " ".join(request["graphql"])
