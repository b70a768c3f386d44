"""When a flow starts. Pure: causes, rule and times go in, a plan comes out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.model import FlowType, StartCondition, WaitKind
from kamu_assets.flows.retrying import RetryPolicy
from kamu_assets.flows.rules import Reactive, Trigger
from kamu_assets.flows.timing import first_due
from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp

# The reference waits a minute.
THROTTLING_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class FlowRules:
    """What the operator sets for all flows."""

    throttling_seconds: float = THROTTLING_SECONDS
    # Runs of one account's datasets at once; None: as many as there are places.
    account_limit: int | None = None
    # Where a binding has no policy of its own.
    retries: Mapping[FlowType, RetryPolicy] = field(default_factory=dict)


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
    """The earliest time that one of the causes asks for, not too soon after the last attempt."""
    wanted = min(_times(causes, facts), key=lambda each: each.at, default=Plan(facts.now))
    return throttled(wanted, facts, rules)


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
    rule = facts.trigger.rule if facts.trigger else None
    records = sum(cause.records for cause in changes)
    if not isinstance(rule, Reactive) or records >= rule.min_records:
        return Plan(facts.now)
    first = min((cause.at or facts.now for cause in changes), default=facts.now)
    deadline = Timestamp(first.ns + rule.max_interval_seconds * NANOS_PER_SECOND)
    if deadline <= facts.now:
        return Plan(facts.now)
    return Plan(deadline, StartCondition(WaitKind.REACTIVE, until=deadline, records=records))


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
    return Plan(allowed, StartCondition(WaitKind.THROTTLING, until=allowed, shifted_from=wanted.at))
