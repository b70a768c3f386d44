"""The scheduler against a simulated clock: whatever happens, in whatever order, the rules of flows hold."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.achievements import Achievements
from kamu_assets.flows.arguments import IngestArguments
from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.decide import MOST_LOST
from kamu_assets.flows.history.events import EventKind
from kamu_assets.flows.model import Binding, Flow, FlowOutcome, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.orchestrator import RunState
from kamu_assets.flows.processes.store import ProcessStore
from kamu_assets.flows.results import DataAdded
from kamu_assets.flows.retrying import Backoff, FlowConfig, RetryPolicy
from kamu_assets.flows.scheduling.backlog import Backlog
from kamu_assets.flows.store import FlowStore
from kamu_assets.flows.triggers.rules import BreakingChange, Cron, Interval, Reactive, Trigger, TriggerRule, recovers
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp
from tests.faults.stage import memory_folder
from tests.support.heart import ADMIN, open_heart
from tests.unit.flows.computing import Computing
from tests.unit.flows.conftest import Flows, wired

MAX_RUNNING = 3
THROTTLING = 1 * NANOS_PER_SECOND
OUTCOMES = (
    FlowOutcome(OutcomeKind.SUCCESS),
    FlowOutcome(OutcomeKind.UP_TO_DATE),
    FlowOutcome(OutcomeKind.FAILED, "passing"),
    FlowOutcome(OutcomeKind.FAILED, "lasting", recoverable=False),
    FlowOutcome(OutcomeKind.ABORTED),
)
DATASETS = ("one", "two", "reader", "last")
datasets = st.sampled_from(DATASETS)
timed = st.sampled_from([Interval(1), Interval(30), Cron("* * * * *"), Cron("0 0 * * *")])
RECOVER = BreakingChange.RECOVER
reactive = st.sampled_from(
    [Reactive(), Reactive(15, 20), Reactive(1000, 40), Reactive(0, 0, RECOVER), Reactive(1000, 40, RECOVER)]
)
policies = st.builds(RetryPolicy, st.integers(1, 2), st.sampled_from([0.0, 5.0, 20.0]), st.sampled_from(Backoff))


class SchedulerMachine(RuleBasedStateMachine):
    """Two roots, a derivative of both, and a derivative of that."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=memory_folder()))
        self.flows: Flows = wired(open_heart(self.folder))
        self.entries: dict[str, DatasetEntry] = {}
        self.computing = Computing(self.flows.heart)
        # Where roots can be reset to.
        self.heads: dict[str, list[Multihash]] = {}
        self.deleted = 0

    @initialize()
    def make(self) -> None:
        one, two = self.flows.root("one"), self.flows.root("two")
        reader = self.flows.derivative("reader", one, two)
        last = self.flows.derivative("last", reader)
        self.entries = dict(zip(DATASETS, (one, two, reader, last), strict=True))
        self.heads = {name: [self.head(name)] for name in ("one", "two")}
        self.step()

    def teardown(self) -> None:
        self.flows.heart.database.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @rule(name=st.sampled_from(["one", "two"]))
    def push(self, name: str) -> None:
        reacts = self.reacts("reader")
        self.flows.push(self.entries[name])
        self.heads[name].append(self.head(name))
        self.step()
        live = self.live("reader")
        if reacts:
            assert live is not None
            news = live.causes if live.state is not FlowState.RUNNING or not live.late_causes else live.late_causes
            assert self.entries[name].id in {cause.input for cause in news}

    @rule(name=st.sampled_from(["one", "two"]), outcome=st.sampled_from(OUTCOMES[:2]))
    def push_beside(self, name: str, outcome: FlowOutcome) -> None:
        """New data while the derivative is at work: what it has not seen is done after it."""
        flow = self.live("reader")
        if flow is None or flow.state is not FlowState.RUNNING or not self.reacts("reader"):
            return
        self.flows.push(self.entries[name])
        self.heads[name].append(self.head(name))
        self.step()
        self.flows.service.run_finished(str(flow.run_id), outcome)
        following = self.live("reader")
        assert following is not None
        assert self.entries[name].id in {cause.input for cause in following.causes}
        self.step()

    @rule(name=datasets)
    def ask(self, name: str) -> None:
        asked = self.flows.service.request_run(ADMIN, self.entries[name].id)
        assert asked.state is not FlowState.FINISHED
        self.step()

    @rule(seconds=st.sampled_from([1, 5, 20, 61]))
    def wait(self, seconds: int) -> None:
        self.flows.clock.advance(seconds)
        self.step()

    @rule(number=st.integers(0, 5))
    def start(self, number: int) -> None:
        flow = self.running(number)
        if flow is not None and flow.started_at is None:
            self.flows.service.run_started(str(flow.run_id))

    @rule(number=st.integers(0, 5), outcome=st.sampled_from(OUTCOMES))
    def finish(self, number: int, outcome: FlowOutcome) -> None:
        flow = self.running(number)
        if flow is None:
            return
        self.flows.service.run_finished(str(flow.run_id), outcome)
        after = self.flows.service.get(ADMIN, flow.id)
        if outcome.kind in {OutcomeKind.SUCCESS, OutcomeKind.UP_TO_DATE}:
            assert after.outcome == outcome
            if flow.late_causes:
                assert (self.live_of(flow) is not None) == self.is_there(flow)
        if not outcome.recoverable:
            assert after.outcome == outcome
        self.step()

    @rule(number=st.integers(0, 5))
    def do(self, number: int) -> None:
        """A run does what it is for, and comes to what comes of that."""
        flow = self.running(number)
        if flow is None:
            return
        outcome = self.computing.run(flow)
        self.flows.service.run_finished(str(flow.run_id), outcome)
        for dataset in self.entries:
            if self.is_of(flow, dataset) and flow.type is FlowType.EXECUTE_TRANSFORM and outcome.rewritten_input:
                # Nothing is computed on from what is gone: all starts anew, or nothing does.
                emptied = self.live(dataset, FlowType.RESET_TO_METADATA)
                assert (emptied is not None) or not self.recovers(dataset)
                assert self.trigger(dataset) is None or self.recovers(dataset) or self.is_paused(dataset)
        self.step()

    @rule(name=st.sampled_from(["one", "two"]), number=st.integers(0, 3))
    def reset(self, name: str, number: int) -> None:
        """A root goes back: whoever read what came after that, and says so, drops its rows first."""
        heads = self.heads[name]
        if len(heads) < 2:
            return
        del heads[number % (len(heads) - 1) + 1 :]
        self.computing.reset(self.entries[name], heads[-1])
        must = self.recovers("reader") and self.was_read("reader", name)
        self.step()
        if must:
            emptied = self.live("reader", FlowType.RESET_TO_METADATA)
            assert emptied is not None
            causes = (*emptied.causes, *emptied.late_causes)
            assert (self.entries[name].id, True) in {(cause.input, cause.breaking) for cause in causes}

    @rule()
    def calm_down(self) -> None:
        """When everything has run, derivatives that recover are computed from what there is."""
        for _ in range(12):
            running = self.all(FlowState.RUNNING)
            for flow in running:
                self.flows.service.run_finished(str(flow.run_id), self.computing.run(flow))
            self.flows.clock.advance(1)
            self.step()
        for name in ("reader", "last"):
            kinds = (FlowType.EXECUTE_TRANSFORM, FlowType.RESET_TO_METADATA)
            if self.recovers(name) and all(self.live(name, kind) is None for kind in kinds):
                with self.flows.heart.database.reading() as tx:
                    left = Backlog(self.flows.heart.chains).of(tx, self.entries[name].id)
                assert left == []

    @rule()
    def delete(self) -> None:
        """Nothing is left of it but what runs; another one takes its place."""
        gone = self.entries["last"]
        self.flows.heart.datasets.delete(ADMIN, gone.id)
        self.step()
        assert all(
            flow.state is FlowState.RUNNING for flow in self.all() if self.is_live(flow) and self.is_of(flow, "last")
        )
        assert gone.id not in {planned.trigger.dataset_id for planned in self.flows.triggers.list(ADMIN)}
        self.deleted += 1
        self.entries["last"] = self.flows.derivative(f"last{self.deleted}", self.entries["reader"])
        self.step()

    @rule(number=st.integers(0, 5))
    def lose(self, number: int) -> None:
        """Its worker dies."""
        flow = self.running(number)
        if flow is None:
            return
        self.flows.orchestrator.become(flow.run_id, RunState.LOST, "the worker process died")
        self.flows.scheduler.reconcile()
        after = self.flows.service.get(ADMIN, flow.id)
        if flow.cancel_requested:
            assert after.outcome is not None
            assert after.outcome.kind is OutcomeKind.ABORTED
        elif flow.attempt < MOST_LOST:
            assert (after.state, after.attempt) == (FlowState.RUNNING, flow.attempt + 1)
        self.step()

    @rule(name=datasets, new=timed, stop_after=st.sampled_from([None, 1, 2]))
    def set_time(self, name: str, new: TriggerRule, stop_after: int | None) -> None:
        self.flows.triggers.set(ADMIN, self.entries[name].id, new, stop_after=stop_after)
        self.step()

    @rule(name=st.sampled_from(["reader", "last"]), new=reactive)
    def set_reaction(self, name: str, new: TriggerRule) -> None:
        self.flows.triggers.set(ADMIN, self.entries[name].id, new)
        self.step()

    @rule(name=datasets, change=st.sampled_from(["pause", "resume", "remove"]))
    def change(self, name: str, change: str) -> None:
        getattr(self.flows.triggers, change)(ADMIN, self.entries[name].id)
        self.step()

    @rule(name=datasets, policy=policies)
    def configure(self, name: str, policy: RetryPolicy) -> None:
        self.flows.configs.set(ADMIN, self.entries[name].id, FlowConfig(policy))

    @rule(name=st.sampled_from(["one", "two"]), next_one=st.sampled_from([True, False, None]))
    def take_slices(self, name: str, next_one: bool | None) -> None:  # noqa: FBT001 - Hypothesis names it
        config = FlowConfig(ingest=IngestArguments(fetch_next_iteration=next_one))
        self.flows.configs.set(ADMIN, self.entries[name].id, config)

    @rule(number=st.integers(0, 5), more=st.booleans())
    def poll(self, number: int, more: bool) -> None:  # noqa: FBT001 - as above
        """What the source has left is taken by the next flow, where that was asked for."""
        flow = self.running(number)
        if flow is None or flow.type is not FlowType.INGEST:
            return
        result = DataAdded(1, 10, has_more=more)
        Achievements(self.flows.heart.database).note(str(flow.run_id), flow.scope, result)
        self.flows.service.run_finished(str(flow.run_id), OUTCOMES[0])
        assert self.flows.service.get(ADMIN, flow.id).result == result
        if more and flow.config.ingest is not None and flow.config.ingest.fetch_next_iteration:
            (following,) = [each for each in self.all() if self.is_live(each) and each.binding == flow.binding]
            assert CauseKind.ITERATION_FINISHED in {cause.kind for cause in following.causes}
            assert following.config.ingest == flow.config.ingest
        self.step()

    @rule(number=st.integers(0, 5))
    def cancel(self, number: int) -> None:
        flows = [flow for flow in self.all() if flow.state is not FlowState.FINISHED]
        if flows:
            self.flows.service.cancel(ADMIN, flows[number % len(flows)].id)
            self.step()

    @rule(name=datasets)
    def crash(self, name: str) -> None:
        """The scheduler dies when it has noted attempts and made no runs, and another one takes over."""
        self.flows.service.request_run(ADMIN, self.entries[name].id)
        self.flows.orchestrator.fails_with = RuntimeError("killed here")
        self.flows.scheduler.step()
        self.flows.orchestrator.fails_with = None
        self.flows = wired(self.flows.heart, orchestrator=self.flows.orchestrator)
        self.step()
        self.flows.scheduler.reconcile()
        runs = self.flows.orchestrator.runs
        canceled = [flow for flow in self.all() if flow.cancel_requested]
        assert all(flow.run_id in runs for flow in self.all(FlowState.RUNNING) if flow not in canceled)

    @precondition(lambda self: bool(self.entries))
    @invariant()
    def one_at_a_time(self) -> None:
        live = [flow for flow in self.all() if flow.state is not FlowState.FINISHED]
        assert all(count == 1 for count in Counter(flow.binding for flow in live).values())
        assert len(self.all(FlowState.RUNNING)) <= MAX_RUNNING
        submitted = Counter(self.flows.orchestrator.submitted)
        assert all(count == 1 for count in submitted.values()), submitted

    @precondition(lambda self: bool(self.entries))
    @invariant()
    def rules_of_time_have_their_flow(self) -> None:
        for planned in self.flows.triggers.list(ADMIN):
            trigger = planned.trigger
            live = self.live_by(trigger)
            if not trigger.paused and trigger.is_timed:
                assert live is not None
            if trigger.paused and live is not None and live.state is FlowState.WAITING:
                assert [cause.kind for cause in live.causes] != [CauseKind.AUTO_POLLING]
            with self.flows.heart.database.reading() as tx:
                failures = ProcessStore().get(tx, trigger.binding).consecutive_failures
            assert trigger.stop_after is None or trigger.paused or failures < trigger.stop_after

    @precondition(lambda self: bool(self.entries))
    @invariant()
    def histories_are_whole(self) -> None:
        for flow in self.all():
            events = self.flows.service.events(ADMIN, flow.id)
            kinds = [event.kind for event in events]
            assert kinds[0] is EventKind.INITIATED
            assert [event.id for event in events] == sorted({event.id for event in events})
            assert kinds.count(EventKind.ATTEMPT_QUEUED) == flow.attempt
            attempts = self.flows.service.attempts(ADMIN, flow.id)
            assert [each.number for each in attempts] == list(range(1, flow.attempt + 1))
            ended = {EventKind.COMPLETED, EventKind.ABORTED} & {*kinds}
            if flow.outcome is None:
                assert ended == set()
            else:
                assert ended == {kinds[-1]}
                assert (kinds[-1] is EventKind.ABORTED) == (flow.outcome.kind is OutcomeKind.ABORTED)
                assert all(each.finished_at for each in attempts)

    @precondition(lambda self: bool(self.entries))
    @invariant()
    def flows_of_a_binding_keep_their_distance(self) -> None:
        ended: dict[object, Timestamp] = {}
        for flow in self.all():
            attempts = self.flows.service.attempts(ADMIN, flow.id)
            before = ended.get(flow.binding)
            if attempts and before is not None:
                assert attempts[0].queued_at.ns >= before.ns + THROTTLING
            if flow.outcome is not None and flow.outcome.kind is not OutcomeKind.ABORTED and flow.finished_at:
                ended[flow.binding] = flow.finished_at

    def step(self) -> None:
        """The scheduler does what is to be done: then nothing is left that could begin."""
        due = self.flows.scheduler.step()
        now = self.flows.clock.now()
        with self.flows.heart.database.reading() as tx:
            ready = FlowStore().ready(tx, now, 100)
            running = FlowStore().count_running(tx)
        assert not ready or running == MAX_RUNNING
        waiting = [flow.scheduled_at for flow in self.all(FlowState.WAITING, FlowState.RETRYING) if flow.scheduled_at]
        later = [moment for moment in waiting if moment > now]
        assert due == (min(later) if later else None)

    def all(self, *states: FlowState) -> Sequence[Flow]:
        """Oldest first."""
        with self.flows.heart.database.reading() as tx:
            found = FlowStore().list(tx, limit=10_000)
        return [flow for flow in reversed(found) if not states or flow.state in states]

    def running(self, number: int) -> Flow | None:
        found = self.all(FlowState.RUNNING)
        return found[number % len(found)] if found else None

    def live(self, name: str, type_: FlowType | None = None) -> Flow | None:
        """Of updates, where no type is named."""
        type_ = type_ or FlowType.updating(self.entries[name].kind)
        return self.live_at(Binding(self.entries[name].id, type_))

    def live_at(self, binding: Binding) -> Flow | None:
        return next((flow for flow in self.all() if self.is_live(flow) and flow.binding == binding), None)

    def live_of(self, flow: Flow) -> Flow | None:
        return self.live_at(flow.binding)

    def live_by(self, trigger: Trigger) -> Flow | None:
        return self.live_at(trigger.binding)

    def is_live(self, flow: Flow) -> bool:
        return flow.state is not FlowState.FINISHED

    def is_of(self, flow: Flow, name: str) -> bool:
        return flow.dataset_id == self.entries[name].id

    def is_there(self, flow: Flow) -> bool:
        """Whether its dataset has not been deleted."""
        return any(self.is_of(flow, name) for name in self.entries)

    def reacts(self, name: str) -> bool:
        trigger = self.trigger(name)
        return trigger is None or (not trigger.paused and not trigger.is_timed)

    def recovers(self, name: str) -> bool:
        trigger = self.trigger(name)
        return trigger is not None and not trigger.paused and recovers(trigger.rule)

    def is_paused(self, name: str) -> bool:
        trigger = self.trigger(name)
        return trigger is not None and trigger.paused

    def trigger(self, name: str) -> Trigger | None:
        triggers = {each.trigger.dataset_id: each.trigger for each in self.flows.triggers.list(ADMIN)}
        return triggers.get(self.entries[name].id)

    def was_read(self, name: str, input_: str) -> bool:
        with self.flows.heart.database.reading() as tx:
            return Backlog(self.flows.heart.chains).has_read(tx, self.entries[name].id, self.entries[input_].id)

    def head(self, name: str) -> Multihash:
        return self.flows.heart.chains.head(self.entries[name].id)


TestScheduler = SchedulerMachine.TestCase
TestScheduler.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    # Making a failure smaller may take minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
