"""The node's own jobs."""

from collections.abc import Sequence
from typing import Protocol

from dagster import (
    Definitions,
    Failure,
    InitResourceContext,
    OpExecutionContext,
    ResourceDefinition,
    in_process_executor,
    job,
    op,
    resource,
)

from kamu_assets.datasets.doctor.findings import Finding, FindingKind
from kamu_assets.defs.deliveries import JOBS as TELLER_JOBS
from kamu_assets.defs.deliveries import TELLER, no_teller
from kamu_assets.defs.operations import JOBS, OPERATOR, no_operator
from kamu_assets.defs.resources import NoNodeError
from kamu_assets.defs.sensors import JOBS as KEEPER_JOBS
from kamu_assets.defs.sensors import KEEPER, Watch, no_keeper, sensors

EXAMINER = "examiner"
# Interrupted writers leave files that nothing names: no harm.
_HARMLESS = frozenset({FindingKind.LEFTOVERS, FindingKind.UNREACHABLE})


class Examiner(Protocol):
    """Looks for trouble without touching anything."""

    def repair(self, *, dry_run: bool) -> Sequence[Finding]:
        """What is wrong."""
        ...


@resource
def no_examiner(_context: InitResourceContext) -> Examiner:
    """Stands in for the node where jobs are only listed."""
    raise NoNodeError


@op(required_resource_keys={EXAMINER})
def examine(context: OpExecutionContext) -> None:
    """Compare SQL, the store and the chains of every dataset, as `kamu-node doctor` does, and repair nothing."""
    examiner: Examiner = context.resources.examiner
    findings = examiner.repair(dry_run=True)
    for finding in findings:
        context.log.warning("%s: %s", finding.dataset or "node", finding.message)
    serious = [finding for finding in findings if finding.kind not in _HARMLESS]
    if serious:
        raise Failure(f"{len(serious)} findings; `kamu-node doctor` repairs what can be repaired")
    context.log.info("nothing is wrong")


@job(description="Examines every dataset and reports what is wrong, without touching anything.")
def check_node() -> None:
    examine()


def flow_definitions(
    examiner: ResourceDefinition = no_examiner,
    operator: ResourceDefinition = no_operator,
    keeper: ResourceDefinition = no_keeper,
    teller: ResourceDefinition = no_teller,
    *,
    watch: Watch | None = None,
) -> Definitions:
    """Jobs that work on the node as a whole, or on a dataset otherwise than by bringing it up to date.

    Sensors look at the node that `watch` finds.
    """
    return Definitions(
        jobs=[check_node, *JOBS, *TELLER_JOBS, *KEEPER_JOBS],
        sensors=sensors(watch) if watch is not None else (),
        resources={EXAMINER: examiner, OPERATOR: operator, KEEPER: keeper, TELLER: teller},
        executor=in_process_executor,
    )
