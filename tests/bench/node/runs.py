"""Finding the run that a request led to, and when its parts happened."""

from __future__ import annotations

from collections.abc import Sequence

from kamu_assets.odf.identity import DatasetID
from tests.support.dagster_ui import RunEvent, RunSeen
from tests.support.running_node import RunningNode
from tests.support.waiting import wait_until

# The webserver shares the processors with what is measured: it is not asked often.
LOOK_SECONDS = 0.2


def tags_of(dataset: DatasetID) -> dict[str, str]:
    return {"kamu/dataset_id": str(dataset)}


def run_ids(running: RunningNode, dataset: DatasetID) -> set[str]:
    return {run.id for run in running.ui.runs(tags=tags_of(dataset))}


def ended_run(running: RunningNode, dataset: DatasetID, *, known: set[str]) -> RunSeen:
    """The one run of the dataset that is not among the known, once it has ended."""

    def look() -> RunSeen | None:
        new = [run for run in running.ui.runs(tags=tags_of(dataset)) if run.id not in known]
        assert len(new) <= 1, new
        return next((run for run in new if run.has_ended), None)

    return wait_until(look, every=LOOK_SECONDS)


def first_of(events: Sequence[RunEvent], kind: str) -> RunEvent:
    return next(event for event in events if event.type == kind)
