"""Registry, references and inputs on every database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.errors import (
    DatasetNotFoundError,
    HeadMovedError,
    NameCollisionError,
    NameTooLongError,
    RefCollisionError,
)
from kamu_assets.datasets.lineage.store import Lineage
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.odf.identity import AccountName
from kamu_assets.odf.names import DatasetName
from tests.support.builders import a_dataset_id, a_hash
from tests.support.heart import account, an_entry

STORE = DatasetStore()
REFERENCES = References()
LINEAGE = Lineage()
A, B, C, D = (a_dataset_id(name) for name in "abcd")


def test_an_entry_comes_back_as_it_was(database: Database) -> None:
    entry = an_entry("Weather.hourly")

    with database.transaction() as tx:
        STORE.add(tx, entry)

    with database.reading() as tx:
        assert STORE.get(tx, entry.id) == entry
        assert str(STORE.get(tx, entry.id).name) == "Weather.hourly"


def test_names_are_found_whatever_their_case(database: Database) -> None:
    entry = an_entry("Weather")
    with database.transaction() as tx:
        STORE.add(tx, entry)

    with database.reading() as tx:
        assert STORE.find_alias(tx, AccountName("KAMU"), DatasetName("wEATHER")) == entry
        assert STORE.find_alias(tx, AccountName("other"), DatasetName("weather")) is None


def test_a_name_has_a_limit(database: Database) -> None:
    with database.transaction() as tx:
        STORE.add(tx, an_entry("a" * 255))

    with pytest.raises(NameTooLongError, match="at most 255 characters, not 256"), database.transaction() as tx:
        STORE.add(tx, an_entry("b" * 256))
    with pytest.raises(NameTooLongError), database.transaction() as tx:
        STORE.rename(tx, an_entry("a" * 255).id, DatasetName("c" * 3000))


def test_names_collide_whatever_their_case(database: Database) -> None:
    with database.transaction() as tx:
        STORE.add(tx, an_entry("weather"))

    with pytest.raises(NameCollisionError, match="kamu/WEATHER"), database.transaction() as tx:
        STORE.add(tx, an_entry("WEATHER"))


def test_the_same_name_in_another_account_is_free(database: Database) -> None:
    other = replace(an_entry("weather", owner=account("other")), id=a_dataset_id("second"))

    with database.transaction() as tx:
        STORE.add(tx, an_entry("weather"))
        STORE.add(tx, other)

    with database.reading() as tx:
        assert [str(entry.alias) for entry in STORE.list(tx)] == ["kamu/weather", "other/weather"]
        assert STORE.list(tx, account=AccountName("OTHER")) == [other]
        assert STORE.count(tx) == 2


def test_an_identity_is_registered_once(database: Database) -> None:
    with database.transaction() as tx:
        STORE.add(tx, an_entry("weather"))

    with pytest.raises(RefCollisionError, match="kamu/weather"), database.transaction() as tx:
        STORE.add(tx, replace(an_entry("weather"), name=DatasetName("climate")))


def test_a_rename_may_change_the_case_but_not_take_a_name(database: Database) -> None:
    entry = an_entry("weather")
    with database.transaction() as tx:
        STORE.add(tx, entry)
        STORE.add(tx, an_entry("climate"))
        STORE.rename(tx, entry.id, DatasetName("Weather"))

    with pytest.raises(NameCollisionError), database.transaction() as tx:
        STORE.rename(tx, entry.id, DatasetName("CLIMATE"))
    with database.reading() as tx:
        assert str(STORE.get(tx, entry.id).name) == "Weather"


def test_a_removed_dataset_is_remembered_until_its_files_are_gone(database: Database) -> None:
    entry = an_entry("weather")
    with database.transaction() as tx:
        STORE.add(tx, entry)
        STORE.remove(tx, entry.id)

    with database.transaction() as tx:
        assert STORE.removals(tx) == [entry.id]
        with pytest.raises(DatasetNotFoundError):
            STORE.get(tx, entry.id)
        STORE.removed(tx, entry.id)
        assert STORE.removals(tx) == []


def test_a_dataset_that_comes_back_is_no_longer_to_be_removed(database: Database) -> None:
    entry = an_entry("weather")
    with database.transaction() as tx:
        STORE.add(tx, entry)
        STORE.remove(tx, entry.id)
        STORE.add(tx, entry)

    with database.reading() as tx:
        assert STORE.removals(tx) == []


def test_a_head_moves_from_where_it_was_expected(database: Database) -> None:
    first, second = a_hash("first"), a_hash("second")

    with database.transaction() as tx:
        REFERENCES.move_head(tx, A, expected=None, to=first)
        REFERENCES.move_head(tx, A, expected=first, to=second)

    with database.reading() as tx:
        assert REFERENCES.head(tx, A) == second
        assert REFERENCES.heads(tx) == {A: second}


@pytest.mark.parametrize("expected", [None, a_hash("other")])
def test_a_head_that_is_elsewhere_does_not_move(database: Database, expected: object) -> None:
    first = a_hash("first")
    with database.transaction() as tx:
        REFERENCES.move_head(tx, A, expected=None, to=first)

    with pytest.raises(HeadMovedError) as lost, database.transaction() as tx:
        REFERENCES.move_head(tx, A, expected=expected, to=a_hash("second"))  # type: ignore[arg-type] # a hash or None

    assert lost.value.actual == first
    with database.reading() as tx:
        assert REFERENCES.head(tx, A) == first


def test_inputs_keep_their_order_and_are_found_from_both_ends(database: Database) -> None:
    with database.transaction() as tx:
        LINEAGE.set_inputs(tx, C, [B, A])
        LINEAGE.set_inputs(tx, D, [A])

    with database.reading() as tx:
        assert LINEAGE.inputs(tx, C) == [B, A]
        assert set(LINEAGE.dependents(tx, A)) == {C, D}
        assert LINEAGE.inputs(tx, A) == ()


def test_a_loop_is_told_in_the_order_of_reading(database: Database) -> None:
    with database.transaction() as tx:
        LINEAGE.set_inputs(tx, A, [D, B])
        LINEAGE.set_inputs(tx, B, [C])

        assert LINEAGE.find_loop(tx, C, [A]) == [C, A, B, C]
        assert LINEAGE.find_loop(tx, C, [C]) == [C, C]
        assert LINEAGE.find_loop(tx, C, [D]) is None
