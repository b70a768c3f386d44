from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kamu_assets.auth.model import Caller
from kamu_assets.datasets.errors import DanglingReferenceError, DatasetNotFoundError, NothingMatchesError
from kamu_assets.datasets.messages import DatasetDeleted
from kamu_assets.governance.errors import AccessDeniedError
from kamu_assets.odf.dataset import DatasetKind
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.serde.flatbuffers import EventKind
from tests.support.builders import a_dataset_id, a_transform
from tests.support.heart import ADMIN, Heart, an_entry, open_heart
from tests.unit.datasets.callers import ALICE, HidesDaily, datasets_with

RAW, CLEAN, DAILY, YEARLY = (an_entry(name).id for name in ("raw", "clean", "daily", "yearly"))


@pytest.fixture
def heart(tmp_path: Path) -> Iterator[Heart]:
    """raw ← clean ← daily ← yearly, and yearly reads raw, too."""
    heart = open_heart(tmp_path)
    heart.dataset("raw")
    for name, *inputs in (("clean", RAW), ("daily", CLEAN), ("yearly", DAILY, RAW)):
        heart.dataset(name, a_transform(*inputs), kind=DatasetKind.DERIVATIVE)
    yield heart
    heart.database.close()


def there(heart: Heart) -> list[str]:
    return [str(entry.name) for entry in heart.datasets.list(ADMIN)]


@pytest.mark.parametrize("wanted", [(RAW, CLEAN, DAILY, YEARLY), (CLEAN, RAW, YEARLY, DAILY, RAW)])
def test_readers_go_first_whatever_the_order_of_the_request(heart: Heart, wanted: tuple[DatasetID, ...]) -> None:
    deleted = heart.datasets.delete_all(ADMIN, wanted)

    assert [str(entry.name) for entry in deleted] == ["yearly", "daily", "clean", "raw"]
    assert there(heart) == []
    told = [each.message for each in heart.outbox.read("test") if isinstance(each.message, DatasetDeleted)]
    assert [message.dataset_id for message in told] == [YEARLY, DAILY, CLEAN, RAW]


@pytest.mark.parametrize("wanted", [(RAW,), (RAW, CLEAN, YEARLY), (YEARLY, a_dataset_id("nobody"))])
def test_all_stay_if_one_has_to(heart: Heart, wanted: tuple[DatasetID, ...]) -> None:
    with pytest.raises((DanglingReferenceError, DatasetNotFoundError)):
        heart.datasets.delete_all(ADMIN, wanted)

    assert there(heart) == ["clean", "daily", "raw", "yearly"]
    assert not [each for each in heart.outbox.read("test") if isinstance(each.message, DatasetDeleted)]


def test_a_plan_tells_what_would_go_and_keeps_it(heart: Heart) -> None:
    plan = heart.datasets.plan_deletion(ADMIN, [CLEAN], recursive=True)

    assert [str(entry.name) for entry in plan] == ["yearly", "daily", "clean"]
    assert there(heart) == ["clean", "daily", "raw", "yearly"]
    with pytest.raises(DanglingReferenceError, match="input of kamu/daily"):
        heart.datasets.plan_deletion(ADMIN, [CLEAN])


def test_a_reader_nobody_may_know_of_keeps_what_it_reads(heart: Heart) -> None:
    with pytest.raises(DanglingReferenceError, match="'kamu/clean' cannot be deleted: it is an input of 1 more"):
        datasets_with(heart, HidesDaily()).plan_deletion(ADMIN, [RAW], recursive=True)


def test_only_owners_delete(heart: Heart) -> None:
    with pytest.raises(AccessDeniedError):
        heart.datasets.plan_deletion(Caller(ALICE), [YEARLY])


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["daily", "KAMU/daily", str(DAILY)], ["daily"]),
        (["%ly", "raw"], ["daily", "yearly", "raw"]),
        (["raw", "r%", "%a%l%"], ["raw", "daily", "yearly"]),
        (["kamu/%"], ["clean", "daily", "raw", "yearly"]),
    ],
)
def test_names_and_patterns_select(heart: Heart, texts: list[str], found: list[str]) -> None:
    assert [str(entry.name) for entry in heart.datasets.select(ADMIN, texts)] == found


def test_selecting_nothing_is_told(heart: Heart) -> None:
    with pytest.raises(NothingMatchesError, match="no dataset matches 'alice/%'"):
        heart.datasets.select(ADMIN, ["alice/%"])
    with pytest.raises(DatasetNotFoundError, match="dataset nope does not exist"):
        heart.datasets.select(ADMIN, ["raw", "nope"])
    assert [str(entry.name) for entry in datasets_with(heart, HidesDaily()).select(ADMIN, ["%ly"])] == ["yearly"]


def test_lineage_has_parts_and_an_order(heart: Heart) -> None:
    graph = heart.datasets.lineage(ADMIN)

    assert {str(entry.name) for entry in graph.upstream([DAILY]).entries.values()} == {"raw", "clean", "daily"}
    assert {str(entry.name) for entry in graph.downstream([CLEAN]).entries.values()} == {"clean", "daily", "yearly"}
    assert [str(entry.name) for entry in graph.inputs_first()] == ["raw", "clean", "daily", "yearly"]
    # What lies between them is not named, and counts.
    assert [str(entry.name) for entry in graph.inputs_first([YEARLY, CLEAN])] == ["clean", "yearly"]
    assert set(graph.dependents[RAW]) == {CLEAN, YEARLY}
    hidden = datasets_with(heart, HidesDaily()).lineage(ADMIN)
    assert DAILY not in hidden.entries
    assert DAILY in hidden.inputs[YEARLY]


def test_the_log_tells_some_kinds_only(heart: Heart) -> None:
    for _ in range(3):
        heart.add_data(RAW)

    def kinds(*wanted: EventKind, newest_first: bool = True) -> list[int]:
        found = heart.datasets.log(ADMIN, RAW, kinds=wanted, newest_first=newest_first)
        return [each.block.sequence_number for each in found]

    assert kinds(EventKind.ADD_DATA) == [4, 3, 2]
    assert kinds(EventKind.SEED, EventKind.ADD_DATA, newest_first=False) == [0, 2, 3, 4]
    assert kinds(EventKind.SET_LICENSE) == []


def test_a_description_names_neighbours(heart: Heart) -> None:
    heart.add_data(RAW)

    raw, yearly = (heart.datasets.describe(ADMIN, each) for each in (RAW, YEARLY))

    assert raw.summary == heart.datasets.summary(ADMIN, RAW)
    assert raw.chain.head == raw.summary.head
    assert {str(entry.name) for entry in raw.dependents} == {"clean", "yearly"}
    assert raw.schema is not None
    assert [str(each) for each in yearly.inputs] == ["kamu/daily", "kamu/raw"]
    hidden = datasets_with(heart, HidesDaily()).describe(ADMIN, YEARLY)
    assert [str(each) for each in hidden.inputs] == [str(DAILY), "kamu/raw"]
