from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kamu_assets.auth.model import ANONYMOUS, Caller
from kamu_assets.auth.store import AccountStore
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.errors import DanglingReferenceError, DatasetNotFoundError, NameCollisionError
from kamu_assets.datasets.messages import DatasetDeleted, DatasetRenamed
from kamu_assets.governance.access import Access, Action, Owned
from kamu_assets.governance.errors import AccessDeniedError, LoginRequiredError
from kamu_assets.odf.dataset import DatasetKind
from kamu_assets.odf.identity import AccountName, DatasetAlias, parse_dataset_ref
from kamu_assets.odf.names import DatasetName
from tests.support.builders import a_dataset_id, a_transform
from tests.support.heart import ADMIN, Heart, an_entry, open_heart
from tests.unit.datasets.callers import ALICE, HidesDaily, datasets_with

DATASET = an_entry("weather").id


@pytest.fixture
def heart(tmp_path: Path) -> Iterator[Heart]:
    """A root and a derivative of it, and another account."""
    heart = open_heart(tmp_path)
    with heart.database.transaction() as tx:
        AccountStore().ensure(tx, ALICE)
    heart.dataset("weather")
    heart.dataset("daily", a_transform(DATASET), kind=DatasetKind.DERIVATIVE)
    yield heart
    heart.database.close()


@pytest.mark.parametrize("ref", ["weather", "WEATHER", "kamu/weather", "Kamu/Weather", str(DATASET)])
def test_a_dataset_is_found_by_any_reference(heart: Heart, ref: str) -> None:
    assert heart.datasets.resolve(ANONYMOUS, parse_dataset_ref(ref)).id == DATASET


@pytest.mark.parametrize("ref", ["climate", "alice/weather", str(a_dataset_id("nobody"))])
def test_an_unknown_dataset_is_told(heart: Heart, ref: str) -> None:
    with pytest.raises(DatasetNotFoundError, match="does not exist"):
        heart.datasets.resolve(ADMIN, parse_dataset_ref(ref))


def test_lists_are_by_name_and_in_pages(heart: Heart) -> None:
    heart.dataset("Alps")

    assert [str(entry.name) for entry in heart.datasets.list(ANONYMOUS)] == ["Alps", "daily", "weather"]
    assert [str(entry.name) for entry in heart.datasets.list(ANONYMOUS, limit=1, offset=1)] == ["daily"]
    assert heart.datasets.list(ANONYMOUS, account=AccountName("alice")) == []
    assert [str(found.entry.name) for found in heart.datasets.summaries(ANONYMOUS)] == ["Alps", "daily", "weather"]


def test_a_log_starts_where_it_is_asked_to(heart: Heart) -> None:
    heart.add_data(DATASET)

    newest = [found.block.event.kind for found in heart.datasets.log(ANONYMOUS, DATASET)]
    oldest = [found.block.event.kind for found in heart.datasets.log(ANONYMOUS, DATASET, newest_first=False, start=1)]

    assert newest == ["AddData", "SetDataSchema", "Seed"]
    assert oldest == ["SetDataSchema", "AddData"]


def test_a_dataset_that_others_read_is_not_deleted(heart: Heart) -> None:
    with pytest.raises(DanglingReferenceError, match="'kamu/weather' cannot be deleted: it is an input of kamu/daily"):
        heart.datasets.delete(ADMIN, DATASET)

    heart.datasets.delete(ADMIN, DatasetAlias.parse("daily"))
    heart.datasets.delete(ADMIN, DATASET)

    assert heart.datasets.list(ADMIN) == []
    assert list(heart.volumes.root.list()) == []
    deleted = [delivery.message for delivery in heart.outbox.read("test")][-2:]
    assert [str(message.alias) for message in deleted if isinstance(message, DatasetDeleted)] == [
        "kamu/daily",
        "kamu/weather",
    ]
    with pytest.raises(DatasetNotFoundError):
        heart.chains.state(DATASET)


def test_a_deleted_name_is_free_again(heart: Heart) -> None:
    heart.datasets.delete(ADMIN, DatasetAlias.parse("daily"))

    assert heart.dataset("daily").id in {entry.id for entry in heart.datasets.list(ADMIN)}


def test_a_rename_is_seen_in_sql_store_and_outbox(heart: Heart) -> None:
    entry = heart.datasets.rename(ADMIN, DATASET, DatasetName("Climate"))

    assert heart.datasets.resolve(ADMIN, DatasetAlias.parse("climate")) == entry
    assert heart.volumes.root.get(f"{DATASET.as_multibase}/info/alias") == b"kamu/Climate"
    renamed = heart.outbox.read("test")[-1].message
    assert isinstance(renamed, DatasetRenamed)
    assert (str(renamed.old_alias), str(renamed.new_alias)) == ("kamu/weather", "kamu/Climate")
    with pytest.raises(NameCollisionError):
        heart.datasets.rename(ADMIN, DATASET, DatasetName("DAILY"))


def test_everybody_reads_and_the_owner_changes(heart: Heart) -> None:
    assert heart.datasets.summary(ANONYMOUS, DATASET).entry.id == DATASET
    with pytest.raises(LoginRequiredError):
        heart.datasets.delete(ANONYMOUS, DATASET)
    with pytest.raises(AccessDeniedError):
        heart.datasets.rename(Caller(ALICE), DATASET, DatasetName("mine"))


class Secretive(Access):
    """Lets only owners and admins know of a dataset."""

    def allows(self, tx: Transaction, caller: Caller, dataset: Owned, action: Action) -> bool:
        return super().allows(tx, caller, dataset, Action.OWN if action is Action.READ else action)


def test_what_may_not_be_read_does_not_exist(heart: Heart) -> None:
    secret = datasets_with(heart, Secretive())

    for hidden in (secret.resolve, secret.delete, secret.summary, secret.dependents):
        with pytest.raises(DatasetNotFoundError):
            hidden(Caller(ALICE), DATASET)
    assert secret.list(ANONYMOUS) == []
    assert secret.summaries(ANONYMOUS) == []


def test_a_hidden_reader_is_counted_but_not_named(heart: Heart) -> None:
    with pytest.raises(DanglingReferenceError, match="it is an input of 1 more"):
        datasets_with(heart, HidesDaily()).delete(ADMIN, DATASET)


def test_files_are_where_an_engine_can_open_them(heart: Heart) -> None:
    heart.add_data(DATASET)
    entry = heart.datasets.resolve(ADMIN, DATASET)
    [part] = heart.chains.slices(DATASET, after=None, until=heart.chains.head(DATASET))

    path = Path(heart.datasets.slice_location(entry, part.physical_hash))

    assert path.stat().st_size == part.data_slice.size
    assert path.is_relative_to(heart.datasets.storage_location(entry))
