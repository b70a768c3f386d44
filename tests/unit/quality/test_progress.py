"""Where checks go on after chains have grown, or were rewritten."""

from __future__ import annotations

import pytest

from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.quality.counting import Begun
from kamu_assets.quality.declared import Check
from kamu_assets.quality.model import NotNull, RowCountChange
from kamu_assets.quality.progress import Progress
from kamu_assets.quality.results import CheckResult, Outcome, Tally
from kamu_assets.quality.store import TallyStore
from tests.support.coordination import a_reorganization
from tests.support.heart import ADMIN, Heart

GROWS = Check("grows", RowCountChange(min=2))
FULL = Check("full", NotNull(columns=("name",)))
COUNTED = Tally(3, offsets=(7,))


class Checked:
    """A dataset whose commits have ten rows each, a second apart."""

    def __init__(self, heart: Heart) -> None:
        self.heart = heart
        self.entry: DatasetEntry = heart.dataset()
        self.progress = Progress(heart.database, heart.chains)

    def push(self, times: int = 1) -> Multihash:
        for _ in range(times):
            self.heart.clock.set(Timestamp(self.heart.clock.now().ns + 1_000_000_000))
            self.heart.add_data(self.entry.id)
        return self.head

    @property
    def head(self) -> Multihash:
        return self.heart.chains.head(self.entry.id)

    def begun(self, check: Check = GROWS) -> Begun:
        return self.progress.begun(self.entry.id, self.heart.chains.state(self.entry.id), [check])[check.name]

    def check(self, *, since: int) -> Timestamp:
        """Keep what came of both; tells when the newest block was made."""
        state = self.heart.chains.state(self.entry.id)
        results = [
            CheckResult(GROWS, Outcome.PASSED, "", Tally(since=since)),
            CheckResult(FULL, Outcome.FAILED, "", COUNTED),
        ]
        self.progress.keep(self.entry.id, self.head, state, results)
        assert state.system_time is not None
        return state.system_time

    @property
    def behind(self) -> list[object]:
        with self.heart.database.reading() as tx:
            return list(TallyStore().behind(tx))


@pytest.fixture
def checked(heart: Heart) -> Checked:
    return Checked(heart)


def test_commits_are_judged_once_and_while_none_comes_the_verdict_is_repeated(checked: Checked) -> None:
    checked.push(2)
    assert checked.begun() == Begun(first=0)
    checked.check(since=10)
    assert checked.begun() == Begun(first=10)

    checked.push(2)

    assert checked.begun() == Begun(first=20)
    assert checked.begun(FULL).first == 20


def test_a_compaction_hides_no_commit_and_shows_none_again(checked: Checked) -> None:
    checked.push(3)
    as_of = checked.check(since=10)

    a_reorganization(checked.heart).compact(ADMIN, checked.entry.id)

    assert checked.begun() == Begun(first=10, after=as_of)
    assert checked.begun(FULL) == Begun()
    checked.push()
    assert checked.begun().after == as_of


@pytest.mark.parametrize("commits", [1, 2, 3])
def test_commits_after_a_reset_are_judged_whatever_their_offsets(checked: Checked, commits: int) -> None:
    good = checked.push()
    checked.push(2)
    as_of = checked.check(since=0)

    a_reorganization(checked.heart).reset(ADMIN, checked.entry.id, ResetOptions(new_head=good))
    checked.push(commits)

    assert checked.begun().after == as_of


def test_who_has_another_head_than_when_it_was_counted_is_behind(checked: Checked) -> None:
    checked.push()
    assert checked.behind == []
    checked.check(since=0)
    assert checked.behind == []

    checked.push()
    assert checked.behind == [checked.entry.id]
    checked.heart.datasets.delete(ADMIN, checked.entry.id)
    assert checked.behind == []


def test_who_is_to_be_counted_is_behind_until_that_was_done(checked: Checked) -> None:
    with checked.heart.database.transaction() as tx:
        TallyStore().want(tx, [checked.entry.id])
        TallyStore().want(tx, [checked.entry.id])
    assert checked.behind == [checked.entry.id]

    state = checked.heart.chains.state(checked.entry.id)
    checked.progress.keep(checked.entry.id, checked.head, state, [CheckResult(GROWS, Outcome.ERRORED, "")])
    assert checked.behind == []
