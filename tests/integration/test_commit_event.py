"""Metadata events that people commit: who may, what the chain refuses, who was first."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kamu_assets.auth.model import ANONYMOUS, Caller
from kamu_assets.auth.store import AccountStore
from kamu_assets.coordinator.service import Coordinator
from kamu_assets.datasets.errors import DanglingObjectError, HeadMovedError, MissingInputsError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import DeniedError, InvalidError
from kamu_assets.governance.errors import AccessDeniedError, LoginRequiredError
from kamu_assets.odf.chain_errors import AppendingSeedBlockToNonEmptyChainError, InvalidEventError, NoOpEventError
from kamu_assets.odf.dataset import DatasetKind, MetadataEvent, SetInfo, SetTransform
from kamu_assets.odf.engine import SqlQueryStep, TransformInput, TransformSql
from kamu_assets.odf.identity import DatasetID
from tests.support.builders import a_dataset_id, a_schema, a_seed, some_data
from tests.support.heart import ADMIN, Heart, account, open_heart

INFO = SetInfo(description="tides")
STRANGER = account("stranger")


@pytest.fixture
def heart(tmp_path: Path) -> Iterator[Heart]:
    heart = open_heart(tmp_path)
    with heart.database.transaction() as tx:
        AccountStore().ensure(tx, STRANGER)
    yield heart
    heart.database.close()


@pytest.fixture
def root(heart: Heart) -> DatasetEntry:
    return heart.dataset("readings")


def reads(*inputs: DatasetID) -> SetTransform:
    steps = (SqlQueryStep(query="select event_time from a"),)
    return SetTransform(
        inputs=tuple(TransformInput(dataset_ref=str(one), alias=f"i{number}") for number, one in enumerate(inputs)),
        transform=TransformSql(engine="datafusion", queries=steps),
    )


def test_an_event_becomes_one_block(heart: Heart, coordinator: Coordinator, root: DatasetEntry) -> None:
    before = heart.chains.head(root.id)

    result = coordinator.commit_event(ADMIN, root.id, INFO)

    (newest, *_) = heart.datasets.log(ADMIN, root.id)
    assert (result.old_head, result.new_head, result.blocks) == (before, newest.block_hash, 1)
    assert newest.block.event == INFO
    assert newest.block.system_time == heart.clock.now()


def test_the_same_description_again_is_a_new_block(coordinator: Coordinator, root: DatasetEntry) -> None:
    first = coordinator.commit_event(ADMIN, root.id, INFO)

    assert coordinator.commit_event(ADMIN, root.id, INFO).old_head == first.new_head


@pytest.mark.parametrize(
    ("caller", "refusal"), [(ANONYMOUS, LoginRequiredError), (Caller(STRANGER), AccessDeniedError)]
)
def test_only_those_who_may_write_commit(
    heart: Heart, coordinator: Coordinator, root: DatasetEntry, caller: Caller, refusal: type[DeniedError]
) -> None:
    before = heart.chains.head(root.id)

    with pytest.raises(refusal):
        coordinator.commit_event(caller, root.id, INFO)

    assert heart.chains.head(root.id) == before


@pytest.mark.parametrize(
    ("event", "refusal"),
    [
        (a_seed(), AppendingSeedBlockToNonEmptyChainError),
        (a_schema(), NoOpEventError),
        (reads(a_dataset_id("readings")), InvalidEventError),
        (some_data(), DanglingObjectError),
    ],
    ids=["seed", "same schema", "transform of a root", "data without its file"],
)
def test_what_a_chain_cannot_hold_is_refused(
    heart: Heart, coordinator: Coordinator, root: DatasetEntry, event: MetadataEvent, refusal: type[InvalidError]
) -> None:
    before = heart.chains.head(root.id)

    with pytest.raises(refusal):
        coordinator.commit_event(ADMIN, root.id, event)

    assert heart.chains.head(root.id) == before


def test_a_new_transform_changes_what_a_derivative_reads(
    heart: Heart, coordinator: Coordinator, root: DatasetEntry
) -> None:
    other = heart.dataset("other")
    derivative = heart.dataset("derivative", reads(root.id), kind=DatasetKind.DERIVATIVE)

    coordinator.commit_event(ADMIN, derivative.id, reads(other.id))

    assert [entry.id for entry in heart.datasets.inputs(ADMIN, derivative.id)] == [other.id]


def test_a_transform_of_what_is_not_there_is_refused(
    heart: Heart, coordinator: Coordinator, root: DatasetEntry
) -> None:
    derivative = heart.dataset("derivative", reads(root.id), kind=DatasetKind.DERIVATIVE)

    with pytest.raises(MissingInputsError) as missing:
        coordinator.commit_event(ADMIN, derivative.id, reads(root.id, a_dataset_id("nowhere")))

    assert missing.value.inputs == (str(a_dataset_id("nowhere")),)


def test_who_decided_upon_an_older_head_is_told(heart: Heart, coordinator: Coordinator, root: DatasetEntry) -> None:
    seen = heart.chains.head(root.id)
    coordinator.commit_event(ADMIN, root.id, INFO)

    with pytest.raises(HeadMovedError):
        coordinator.commit_event(ADMIN, root.id, INFO, expected_head=seen)
