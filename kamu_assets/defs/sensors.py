"""What looks after the node when its own scheduler does not: sensors, and the jobs that they start.

Both go on from cursors and name their runs after what they found, so that nothing is done twice for it.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from dagster import (
    Config,
    DagsterInstance,
    DefaultSensorStatus,
    InitResourceContext,
    JobDefinition,
    OpExecutionContext,
    RunConfig,
    RunRequest,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    job,
    op,
    resource,
    sensor,
)
from pydantic import Field, TypeAdapter, ValidationError

from kamu_assets.defs.resources import NoNodeError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.names import RUNTIME_WARM, TAG_RUNTIME
from kamu_assets.orchestration.scheduler.watching import Attempt, Watches

KEEPER = "keeper"
SECONDS_BETWEEN = 30

# None where there is no node to look at.
Watch = Callable[[DagsterInstance], Watches | None]

_ATTEMPTS = TypeAdapter(list[Attempt])
_NO_NODE = SkipReason("this process has no node to look at")
_TAGS = {TAG_RUNTIME: RUNTIME_WARM}


class Keeper(Protocol):
    """Does what was left undone; repeating it is harmless."""

    def catch_up(self, dataset: DatasetID, *, log: logging.Logger) -> None:
        """Tell Dagster of a dataset's commits, and have derivatives that react read them."""
        ...

    def reconcile(self, *, log: logging.Logger) -> None:
        """Compare running flows with their runs."""
        ...


class CatchUpConfig(Config):
    """Which dataset."""

    dataset: str = Field(description="did:odf:…")


@resource
def no_keeper(_context: InitResourceContext) -> Keeper:
    """Stands in for the node where jobs are only listed."""
    raise NoNodeError


@op(required_resource_keys={KEEPER})
def follow_pushes(context: OpExecutionContext, config: CatchUpConfig) -> None:
    """Tell Dagster of commits that it has not heard of, and start derivatives that have not read them."""
    keeper: Keeper = context.resources.keeper
    keeper.catch_up(DatasetID.parse(config.dataset), log=context.log)


@op(required_resource_keys={KEEPER})
def settle_flows(context: OpExecutionContext) -> None:
    """Give flows the outcome of their runs, and submit again what was lost."""
    keeper: Keeper = context.resources.keeper
    keeper.reconcile(log=context.log)


@job(description="Follows pushes that nobody followed. The sensor push_backlog starts it.")
def catch_up() -> None:
    follow_pushes()


@job(description="Settles flows whose run has ended without them. The sensor stuck_flows starts it.")
def reconcile_flows() -> None:
    settle_flows()


JOBS: Sequence[JobDefinition] = (catch_up, reconcile_flows)


def sensors(watch: Watch) -> Sequence[SensorDefinition]:
    """Both, looking at whatever node `watch` finds."""

    @sensor(
        job=catch_up,
        minimum_interval_seconds=SECONDS_BETWEEN,
        default_status=DefaultSensorStatus.RUNNING,
        description="Finds pushes that Dagster was not told of, or that a derivative which reacts has not read.",
    )
    def push_backlog(context: SensorEvaluationContext) -> SensorResult | SkipReason:
        watches = watch(context.instance)
        return _NO_NODE if watches is None else _pushes_to_follow(watches, context.cursor)

    @sensor(
        job=reconcile_flows,
        minimum_interval_seconds=SECONDS_BETWEEN,
        default_status=DefaultSensorStatus.RUNNING,
        description="Finds flows that count as running although their run has ended, twice in a row.",
    )
    def stuck_flows(context: SensorEvaluationContext) -> SensorResult | SkipReason:
        watches = watch(context.instance)
        return _NO_NODE if watches is None else _flows_to_settle(watches, context.cursor)

    return (push_backlog, stuck_flows)


def _pushes_to_follow(watches: Watches, cursor: str | None) -> SensorResult:
    """The cursor is a place in the outbox. A dataset is followed once per head, however often it is found."""
    position, found = watches.overdue(_position(cursor))
    config = {each: RunConfig({"follow_pushes": CatchUpConfig(dataset=str(each.dataset))}) for each in found}
    requests = [
        RunRequest(run_key=f"{each.dataset}:{each.head}", run_config=config[each], tags=_TAGS) for each in found
    ]
    return SensorResult(
        run_requests=requests,
        cursor=str(position),
        skip_reason=None if requests else f"all was followed up to message {position}",
    )


def _flows_to_settle(watches: Watches, cursor: str | None) -> SensorResult:
    """The cursor holds what was seen the last time: the scheduler settles most of it by itself."""
    before = _seen(cursor)
    seen = sorted(watches.ended())
    stuck = [each for each in seen if each in before]
    requests = [RunRequest(run_key="stuck:" + ",".join(f"{each.flow}.{each.number}" for each in stuck), tags=_TAGS)]
    return SensorResult(
        run_requests=requests if stuck else [],
        cursor=_ATTEMPTS.dump_json(seen).decode(),
        skip_reason=None if stuck else "no flow is stuck",
    )


def _position(cursor: str | None) -> int:
    """The UI lets everybody write a cursor; whoever cannot read it begins anew, which finds nothing that is done."""
    return int(cursor) if cursor is not None and cursor.isascii() and cursor.isdigit() else 0


def _seen(cursor: str | None) -> set[Attempt]:
    try:
        return set(_ATTEMPTS.validate_json(cursor or "[]"))
    except ValidationError:
        return set()
