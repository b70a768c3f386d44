"""What a run says of an update."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from dagster import DataVersion

from kamu_assets.coordinator.results import NothingToPoll, PullResult, Updated, UpToDate
from kamu_assets.datasets.errors import HeadMovedError
from kamu_assets.defs.updater import NodeUpdater
from kamu_assets.errors import InvalidError
from kamu_assets.flows.arguments import IngestArguments
from kamu_assets.flows.errors import SourceLostError
from kamu_assets.flows.results import DataAdded, FlowResult, NothingNew
from kamu_assets.flows.retrying import FlowConfig
from kamu_assets.flows.scopes import Scope
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.orchestration.failures import is_recoverable_error
from kamu_assets.orchestration.reports.materialization import Materialization, Materializations
from tests.support.builders import a_dataset_id
from tests.support.heart import ADMIN

MOMENT = Timestamp.parse("2024-04-01T00:00:00Z")


class Told:
    """Gives these results one after the other."""

    def __init__(self, results: Sequence[PullResult]) -> None:
        self._results = list(results)
        self.asked: dict[str, object] = {}

    def pull(self, *_: object, **asked: object) -> PullResult:
        self.asked = asked
        return self._results.pop(0)

    def describe(self, *_: object, **__: object) -> Materialization:
        return Materialization(DataVersion("1"), {"records_added": 1}, watermark_moved_to=MOMENT)


def metadata(*results: PullResult) -> dict[str, Any]:
    told = Told(results)
    updater = NodeUpdater(coordinator=told, caller=ADMIN, materializations=cast("Materializations", told))
    found = updater.update(a_dataset_id(), run_id="run", log=logging.getLogger("test"))
    assert found is not None
    return dict(found.metadata)


def updated(late_rows: int, *, has_more: bool = False) -> Updated:
    head = Multihash.sha3_256(b"head")
    return Updated(None, head, blocks=1, records=1, has_more=has_more, late_rows=late_rows)


def test_late_rows_of_all_steps_are_shown(caplog: pytest.LogCaptureFixture) -> None:
    assert metadata(updated(2, has_more=True), updated(3), UpToDate())["late_rows"] == 5
    assert "2 records of its inputs came too late" in caplog.text


def test_none_are_not_mentioned() -> None:
    assert "late_rows" not in metadata(updated(0))


def achieved_by(
    told: Told,
    asked: IngestArguments | None = None,
    *,
    counted_on: bool = False,
    into: list[FlowResult] | None = None,
) -> list[FlowResult]:
    """What is told of the run `run` of a dataset."""
    found = [] if into is None else into

    def achieved(run_id: str, scope: Scope, result: FlowResult) -> None:
        assert (run_id, scope) == ("run", a_dataset_id())
        found.append(result)

    updater = NodeUpdater(
        coordinator=told,
        caller=ADMIN,
        materializations=cast("Materializations", told),
        asked_of=lambda _run_id, _dataset: FlowConfig(ingest=asked),
        is_counted_on=lambda _run_id, _dataset: counted_on,
        achieved=achieved,
    )
    updater.update(a_dataset_id(), run_id="run", log=logging.getLogger("test"))
    return found


@pytest.mark.parametrize("next_one", [True, False])
def test_what_the_source_has_more_is_left_to_another_run_where_one_slice_was_asked_for(*, next_one: bool) -> None:
    told = Told([updated(0, has_more=True), updated(0)])

    assert achieved_by(told, IngestArguments(True, next_one)) == [DataAdded(1, 1, MOMENT, has_more=True)]
    assert (told.asked["max_slices"], told.asked["fetch_uncacheable"]) == (1, True)


def test_all_that_the_source_has_is_one_result() -> None:
    told = Told([updated(0, has_more=True), updated(0)])

    assert achieved_by(told) == [DataAdded(2, 2, MOMENT)]
    assert told.asked["max_slices"] is None


@pytest.mark.parametrize("uncacheable", [True, False])
def test_nothing_new_is_told_with_its_reason(*, uncacheable: bool) -> None:
    assert achieved_by(Told([UpToDate(uncacheable)])) == [NothingNew(uncacheable)]


def test_a_source_that_is_lost_fails_for_good_where_somebody_counts_on_it() -> None:
    assert achieved_by(Told([NothingToPoll()])) == [NothingNew()]

    with pytest.raises(SourceLostError, match="no SetPollingSource any more") as lost:
        achieved_by(Told([NothingToPoll()]), counted_on=True)
    assert not is_recoverable_error(lost.value)


class Failing(Told):
    """Commits two slices of several, and fails with the next; where it is asked again, it goes on."""

    def __init__(self, error: BaseException, results: Sequence[PullResult] = ()) -> None:
        super().__init__(results)
        self._errors = [error]

    def pull(self, *_: object, **asked: object) -> PullResult:
        if not self._errors:
            return super().pull(**asked)
        tell = cast("Callable[[Updated], None]", asked["on_progress"])
        tell(updated(0))
        tell(replace(updated(0), blocks=2, records=20))
        raise self._errors.pop()


@pytest.mark.parametrize("error", [InvalidError("the third file is none"), KeyboardInterrupt()])
def test_what_was_committed_before_a_failure_is_kept_and_told(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    found: list[FlowResult] = []

    with caplog.at_level(logging.INFO), pytest.raises(type(error)):
        achieved_by(Failing(error), into=found)

    assert found == [DataAdded(2, 20, MOMENT, has_more=True)]
    assert "20 new records are there in spite of what follows" in caplog.text


def test_a_failure_before_the_first_slice_has_brought_nothing() -> None:
    found: list[FlowResult] = []

    with pytest.raises(IndexError):
        achieved_by(Told([]), into=found)

    assert found == []


def test_what_was_committed_before_a_conflict_counts() -> None:
    moved = HeadMovedError(a_dataset_id(), None, None)

    assert achieved_by(Failing(moved, [updated(0)])) == [DataAdded(3, 21, MOMENT)]
    assert achieved_by(Failing(moved, [UpToDate()])) == [DataAdded(2, 20, MOMENT)]
