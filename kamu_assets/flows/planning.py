"""When a flow starts. Pure: causes, rule and times go in, a plan comes out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.model import FlowType, StartCondition, WaitKind
from kamu_assets.flows.retrying import RetryPolicy
from kamu_assets.flows.triggers.rules import Reactive, Trigger
from kamu_assets.flows.triggers.timing import first_due
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp

# The reference waits a minute.
THROTTLING_SECONDS = 1.0
AWAITING_STEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class FlowRules:
    """What the operator sets for all flows."""

    throttling_seconds: float = THROTTLING_SECONDS
    # What begins now is told to begin at a multiple of this; it never begins later for that.
    awaiting_step_seconds: float = AWAITING_STEP_SECONDS
    # Runs of one account's datasets at once; None: as many as there are places.
    account_limit: int | None = None
    # Where a binding has no policy of its own.
    retries: Mapping[FlowType, RetryPolicy] = field(default_factory=dict)

    def step_of(self, now: Timestamp) -> Timestamp:
        """The step that a moment belongs to."""
        step = int(self.awaiting_step_seconds * NANOS_PER_SECOND)
        return Timestamp(now.ns - now.ns % step) if step else now


@dataclass(frozen=True, slots=True)
class Plan:
    """When a flow starts, and why not now."""

    at: Timestamp
    condition: StartCondition | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a plan depends on, beside the causes."""

    now: Timestamp
    trigger: Trigger | None = None
    # The end of the binding's last attempt.
    last_attempt: Timestamp | None = None


def plan(causes: Sequence[FlowCause], facts: Facts, rules: FlowRules) -> Plan:
    """The earliest time that one of the causes asks for, not too soon after the last attempt.

    What came of the inputs is told also when somebody has the flow start sooner.
    """
    asked = list(_times(causes, facts))
    wanted = min(asked, key=lambda each: each.at, default=Plan(facts.now))
    came = (each.condition for each in asked if each.condition and each.condition.kind is WaitKind.REACTIVE)
    return throttled(Plan(wanted.at, wanted.condition or next(came, None)), facts, rules)


def _times(causes: Sequence[FlowCause], facts: Facts) -> Iterator[Plan]:
    changes = [cause for cause in causes if cause.kind is CauseKind.INPUT_UPDATED]
    if changes:
        yield _batched(changes, facts)
    for cause in causes:
        match cause.kind:
            case CauseKind.INPUT_UPDATED:
                pass
            case CauseKind.AUTO_POLLING:
                yield _scheduled(facts)
            case _:
                yield Plan(facts.now)


def _batched(changes: Sequence[FlowCause], facts: Facts) -> Plan:
    """As soon as there are enough records, or the first change is old enough, whatever it was."""
    rule = facts.trigger.rule if facts.trigger and isinstance(facts.trigger.rule, Reactive) else Reactive()
    first = min(cause.at or facts.now for cause in changes)
    deadline = Timestamp(first.ns + rule.max_interval_seconds * NANOS_PER_SECOND)
    condition = StartCondition(
        WaitKind.REACTIVE,
        until=deadline,
        records=sum(cause.records for cause in changes),
        min_records=rule.min_records,
        watermark_moved=any(cause.watermark_moved for cause in changes),
        breaking=any(cause.breaking for cause in changes),
    )
    enough = condition.breaking or condition.records >= rule.min_records or deadline <= facts.now
    return Plan(facts.now if enough else deadline, condition)


def _scheduled(facts: Facts) -> Plan:
    if facts.trigger is None or isinstance(facts.trigger.rule, Reactive):
        return Plan(facts.now)
    due = first_due(facts.trigger.rule, facts.now, facts.last_attempt)
    return Plan(due, StartCondition(WaitKind.SCHEDULE, until=due)) if due > facts.now else Plan(facts.now)


def throttled(wanted: Plan, facts: Facts, rules: FlowRules) -> Plan:
    """The plan, put off until the last attempt is long enough ago."""
    if facts.last_attempt is None:
        return wanted
    allowed = Timestamp(facts.last_attempt.ns + int(rules.throttling_seconds * NANOS_PER_SECOND))
    if wanted.at >= allowed:
        return wanted
    seconds = rules.throttling_seconds
    why = StartCondition(WaitKind.THROTTLING, until=allowed, interval_seconds=seconds, shifted_from=wanted.at)
    return Plan(allowed, why)
