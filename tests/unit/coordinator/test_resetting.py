"""Resets: the head goes back, and everything that is known of the chain with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.reorganization import Reorganization
from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.coordinator.results import NothingToDo, Reorganized
from kamu_assets.datasets.chains.former_heads import FormerHeads
from kamu_assets.datasets.commit.committer import CommitStep
from kamu_assets.datasets.errors import AlreadyHeadError, HeadMovedError, NewHeadNotFoundError
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.messages import DatasetRewritten
from kamu_assets.datasets.model import DatasetEntry, RewriteKind
from kamu_assets.errors import DeniedError
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.identity import DatasetKind
from kamu_assets.odf.multihash import Multihash
from tests.support.builders import a_hash, a_transform
from tests.support.coordination import a_reorganization
from tests.support.heart import ADMIN, Heart, account, open_heart


@pytest.fixture
def reorganization(heart: Heart) -> Reorganization:
    return a_reorganization(heart)


def a_chain(heart: Heart, slices: int = 3) -> tuple[DatasetEntry, list[Multihash]]:
    """A dataset and its heads: after creation, then after each slice."""
    entry = heart.dataset()
    return entry, [heart.chains.head(entry.id), *(heart.add_data(entry.id) for _ in range(slices))]


def test_everything_is_as_it_was_at_that_block(heart: Heart, reorganization: Reorganization) -> None:
    entry, heads = a_chain(heart)
    before = heart.datasets.summary(ADMIN, entry.id)
    state = heart.chains.state(entry.id)
    heart.committer.commit(
        entry.id, expected_head=None, events=[SetInfo(description="late")], system_time=heart.clock.now()
    )
    last = heart.add_data(entry.id)

    done = reorganization.reset(ADMIN, entry.id, ResetOptions(new_head=heads[3]))

    assert done == Reorganized(last, heads[3], 7, 5)
    assert heart.datasets.summary(ADMIN, entry.id) == before
    assert heart.chains.state(entry.id) == state
    assert DatasetFiles.of(heart.volumes, entry).head() == heads[3]
    assert heart.doctor.repair(dry_run=True)[0].kind == "unreachable"
    assert len(heart.doctor.repair(dry_run=True)) == 1


def test_without_a_block_only_the_seed_is_left(heart: Heart, reorganization: Reorganization) -> None:
    entry, _ = a_chain(heart)

    reorganization.reset(ADMIN, entry.id)

    assert heart.datasets.summary(ADMIN, entry.id).statistics.blocks == 1
    assert heart.chains.state(entry.id).schema is None
    assert reorganization.reset(ADMIN, entry.id) == NothingToDo()


def test_the_chain_goes_on_from_there(heart: Heart, reorganization: Reorganization) -> None:
    entry, heads = a_chain(heart)
    reorganization.reset(ADMIN, entry.id, ResetOptions(new_head=heads[1]))

    heart.add_data(entry.id, records=3)

    sums = heart.datasets.summary(ADMIN, entry.id).statistics
    assert (sums.records, sums.last_offset, sums.slices) == (13, 12, 2)
    assert all(found.kind == "unreachable" for found in heart.doctor.repair(dry_run=True))


def test_it_is_announced_as_what_it_is(heart: Heart, reorganization: Reorganization) -> None:
    entry, heads = a_chain(heart)
    reorganization.reset(ADMIN, entry.id, ResetOptions(new_head=heads[1], run_id="run"))

    (told,) = [
        found.message for found in heart.outbox.read("test", limit=99) if isinstance(found.message, DatasetRewritten)
    ]
    assert (told.how, told.old_head, told.new_head) == (RewriteKind.RESET, heads[3], heads[1])
    assert (told.old_blocks, told.blocks, told.records, told.run_id) == (5, 3, 10, "run")


def test_the_former_head_is_remembered_until_it_is_one_again(heart: Heart, reorganization: Reorganization) -> None:
    entry, heads = a_chain(heart)
    reorganization.reset(ADMIN, entry.id, ResetOptions(new_head=heads[2]))
    reorganization.reset(ADMIN, entry.id, ResetOptions(new_head=heads[1]))

    with heart.database.reading() as tx:
        found = FormerHeads().all(tx, entry.id)
    assert {each.block_hash for each in found} == {heads[3], heads[2]}
    heart.datasets.delete(ADMIN, entry.id)
    with heart.database.reading() as tx:
        assert FormerHeads().all(tx, entry.id) == []


def test_blocks_of_elsewhere_are_refused(heart: Heart, reorganization: Reorganization) -> None:
    entry, heads = a_chain(heart)
    other = heart.chains.head(heart.dataset("other").id)

    for block in (a_hash("nowhere"), other):
        with pytest.raises(NewHeadNotFoundError, match=r"not in the chain of 'kamu/dataset'"):
            reorganization.reset(ADMIN, entry.id, ResetOptions(new_head=block))
        with pytest.raises(NewHeadNotFoundError):
            reorganization.check_reset(ADMIN, entry.id, block)
    assert heart.chains.head(entry.id) == heads[3]


def test_what_was_reset_cannot_be_reached_again(heart: Heart, reorganization: Reorganization) -> None:
    entry, heads = a_chain(heart)
    reorganization.reset(ADMIN, entry.id, ResetOptions(new_head=heads[1]))

    with pytest.raises(NewHeadNotFoundError):
        reorganization.reset(ADMIN, entry.id, ResetOptions(new_head=heads[3]))


def test_the_present_head_is_nothing_to_do_and_no_plan(heart: Heart, reorganization: Reorganization) -> None:
    entry, heads = a_chain(heart)

    assert reorganization.reset(ADMIN, entry.id, ResetOptions(new_head=heads[3])) == NothingToDo()
    with pytest.raises(AlreadyHeadError, match="is the head of 'kamu/dataset' already"):
        reorganization.check_reset(ADMIN, entry.id, heads[3])
    reorganization.check_reset(ADMIN, entry.id, heads[2])
    reorganization.check_reset(ADMIN, entry.id, None)


def test_a_head_that_is_not_the_one_seen_stays(heart: Heart, reorganization: Reorganization) -> None:
    entry, heads = a_chain(heart)

    with pytest.raises(HeadMovedError):
        reorganization.reset(ADMIN, entry.id, ResetOptions(new_head=heads[1], old_head=heads[2]))
    assert heart.chains.head(entry.id) == heads[3]

    reorganization.reset(ADMIN, entry.id, ResetOptions(new_head=heads[1], old_head=heads[3]))
    assert heart.chains.head(entry.id) == heads[1]


def test_what_others_commit_while_a_reset_begins_goes_with_the_rest(heart: Heart, tmp_path: Path) -> None:
    entry, heads = a_chain(heart)

    def commit_first(step: CommitStep) -> None:
        # A reset that names no head takes back whatever there is by then.
        if step is CommitStep.SEALED and not late:
            late.append(heart.add_data(entry.id))

    late: list[Multihash] = []
    rushed = open_heart(tmp_path, on_step=commit_first)
    done = a_reorganization(rushed).reset(ADMIN, entry.id, ResetOptions(new_head=heads[1]))

    assert done == Reorganized(late[0], heads[1], 6, 3)
    assert heart.chains.head(entry.id) == heads[1]

    late.clear()
    with pytest.raises(HeadMovedError):
        a_reorganization(rushed).reset(ADMIN, entry.id, ResetOptions(old_head=heads[1]))
    assert heart.chains.head(entry.id) == late[0]
    rushed.database.close()


def test_only_maintainers_reset(heart: Heart, reorganization: Reorganization) -> None:
    entry, heads = a_chain(heart)

    with pytest.raises(DeniedError, match="maintain dataset kamu/dataset"):
        reorganization.reset(Caller(account("alice")), entry.id, ResetOptions(new_head=heads[1]))


def test_a_derivative_without_its_transform_reads_nothing(heart: Heart, reorganization: Reorganization) -> None:
    root = heart.dataset("root")
    entry = heart.dataset("derived", a_transform(root.id), kind=DatasetKind.DERIVATIVE)
    assert heart.datasets.dependents(ADMIN, root.id) == [entry]

    reorganization.reset(ADMIN, entry.id)

    assert heart.datasets.dependents(ADMIN, root.id) == []
    heart.datasets.delete(ADMIN, root.id)
