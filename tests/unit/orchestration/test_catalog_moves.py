"""Who is where while the catalog is spread."""

from __future__ import annotations

from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog.moves import CatalogMoves

A, B = DatasetID.seeded(b"a"), DatasetID.seeded(b"b")


def test_who_moves_is_in_both_places_until_seen_in_the_new_one() -> None:
    moves = CatalogMoves()
    moves.place({A: 1, B: 1})
    assert not moves.are_open

    moves.place({A: 2, B: 1})

    assert (moves.places(A), moves.places(B)) == ((2, 1), (1,))
    assert not moves.let_go({1})
    assert moves.let_go({2})
    assert moves.places(A) == (2,)


def test_who_moves_on_or_back_meanwhile_is_nowhere_twice() -> None:
    moves = CatalogMoves()
    for place in (1, 2, 3):
        moves.place({A: place})
    assert moves.places(A)[0] == 3
    assert {*moves.places(A)} == {1, 2, 3}

    moves.place({A: 1})

    assert {*moves.places(A)} == {1, 2, 3}
    assert moves.let_go({1})
    assert moves.places(A) == (1,)


def test_a_location_is_needed_as_long_as_somebody_waits_in_it() -> None:
    moves = CatalogMoves()
    moves.place({A: 3, B: 1})
    moves.place({A: 1, B: 1})
    assert moves.highest == 3

    moves.let_go({1})

    assert moves.highest == 1


def test_who_is_deleted_waits_nowhere() -> None:
    moves = CatalogMoves()
    moves.place({A: 1})
    moves.place({A: 2})

    moves.place({})

    assert not moves.are_open
    assert moves.highest == 1


def test_who_is_found_in_two_places_waits_in_the_one_that_is_not_its() -> None:
    moves = CatalogMoves()
    moves.find([A, B], 1)
    moves.find([A], 2)

    moves.place({A: 1, B: 1})

    assert (moves.places(A), moves.places(B)) == ((1, 2), (1,))
