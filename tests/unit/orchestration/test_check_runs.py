"""Checks of many datasets, where something is wrong with one of them."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import create_autospec

import pytest
from dagster import DagsterInstance, DagsterRun
from dagster._core.storage.dagster_run import RunRecord

from kamu_assets.database.errors import DatabaseBusyError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog.rows import Catalog
from kamu_assets.orchestration.names import TAG_CHECKS
from kamu_assets.orchestration.reports import check_runs
from kamu_assets.orchestration.reports.check_runs import CheckRuns
from kamu_assets.orchestration.scoped import ScopedJobs
from kamu_assets.quality.store import TallyStore
from tests.support.dagster_home import config_of
from tests.support.heart import Heart


class Checking:
    """Checks that are behind, and runs of checks that nobody has submitted yet."""

    def __init__(self, heart: Heart, folder: Path) -> None:
        self._heart = heart
        self.left: list[DagsterRun] = []
        self.submitted: list[str] = []
        self.failing: dict[str, Exception] = {}
        instance = create_autospec(DagsterInstance, instance=True)
        instance.get_run_records.side_effect = self._records
        instance.submit_run.side_effect = self._submit
        self.catalog = create_autospec(Catalog, instance=True)
        self.runs = CheckRuns(
            instance=instance,
            config=config_of(folder, catalog=1, flows=2, webserver=3),
            catalog=self.catalog,
            jobs=create_autospec(ScopedJobs, instance=True),
            chains=heart.chains,
            database=heart.database,
            outbox=heart.outbox,
        )

    def behind(self, name: str) -> DatasetEntry:
        entry = self._heart.dataset(name)
        with self._heart.database.transaction() as tx:
            TallyStore().want(tx, [entry.id])
        return entry

    def _records(self, filters: object, limit: int | None = None) -> list[RunRecord]:
        del filters
        # Asked of one dataset, it tells of none.
        found = self.left if limit is None else []
        return [create_autospec(RunRecord, instance=True, dagster_run=run) for run in found]

    def _submit(self, run_id: str, **_: object) -> None:
        if run_id in self.failing:
            raise self.failing[run_id]
        self.submitted.append(run_id)


@pytest.fixture
def checking(heart: Heart, tmp_path: Path) -> Checking:
    return Checking(heart, tmp_path)


def test_a_run_that_cannot_be_submitted_keeps_no_others_from_it(checking: Checking) -> None:
    stuck, other = (DagsterRun(job_name="checks", tags={TAG_CHECKS: name}) for name in ("stuck", "other"))
    checking.left = [stuck, other]
    checking.failing[stuck.run_id] = ValueError("no such code")
    waiting = checking.behind("waiting")
    checking.catalog.row.return_value = None

    checking.runs.step()

    assert checking.submitted == [other.run_id]
    checking.catalog.row.assert_called_once_with(waiting.id)


def test_a_dataset_that_cannot_be_checked_keeps_no_others_from_it_and_is_tried_again(
    checking: Checking, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[DatasetID] = []

    def refuse_first(dataset: DatasetID) -> None:
        seen.append(dataset)
        if len(seen) == 1:
            raise ValueError("not that one")

    monkeypatch.setattr(check_runs, "AGAIN_SECONDS", 1e-9)
    both = {checking.behind("one").id, checking.behind("two").id}
    checking.catalog.row.side_effect = refuse_first

    checking.runs.step()
    assert {*seen} == both
    checking.runs.step()

    assert seen == [*seen[:2], seen[0]]


def test_a_database_that_is_away_is_told_of(checking: Checking) -> None:
    checking.behind("one")
    checking.catalog.row.side_effect = DatabaseBusyError()

    with pytest.raises(DatabaseBusyError):
        checking.runs.step()
