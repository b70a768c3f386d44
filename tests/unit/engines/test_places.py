"""Whose job comes next."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kamu_assets.engines.workers.limits import PoolBusyError, PoolClosedError
from kamu_assets.engines.workers.places import Place, Places
from kamu_assets.monitoring.families import own_families
from kamu_assets.monitoring.metric import LEDGER
from tests.support.waiting import wait_until


class Waiters:
    """Callers that wait in threads, and the order in which they got a place."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._threads: list[threading.Thread] = []
        self.got: list[Place] = []

    @property
    def went(self) -> list[str | None]:
        return [place.owner for place in self.got]

    def add(self, owner: str) -> None:
        waiting = self._places._waiting
        self._threads.append(threading.Thread(target=self._take, args=(owner,), daemon=True))
        self._threads[-1].start()
        wait_until(lambda: self._places._waiting > waiting)

    def wait_for(self, count: int) -> None:
        """Until so many have got a place."""
        wait_until(lambda: len(self.got) >= count)

    def _take(self, owner: str) -> None:
        with contextlib.suppress(PoolClosedError):
            self.got.append(self._places.take(None, owner=owner))


@contextmanager
def one_place(*, max_waiting: int = 8) -> Iterator[tuple[Places, Place]]:
    """Taken by `many`."""
    places = Places("test", 1, max_waiting=max_waiting, patience=None)
    yield places, places.take(None, owner="many")
    places.close()


def test_a_place_goes_to_whoever_waits_longest_of_those_with_the_fewest_jobs() -> None:
    places = Places("test", 3, max_waiting=8, patience=None)
    held = [places.take(None, owner="many") for _ in range(3)]
    waiters = Waiters(places)
    for owner in ("many", "few", "other"):
        waiters.add(owner)

    for number, place in enumerate(held, start=1):
        places.give_back(place)
        waiters.wait_for(number)

    assert waiters.went == ["few", "other", "many"]


def test_who_comes_later_does_not_pass_those_who_wait() -> None:
    with one_place() as (places, held):
        waiters = Waiters(places)
        for owner in ("first", "second", "third"):
            waiters.add(owner)

        places.give_back(held)
        for number in (1, 2):
            waiters.wait_for(number)
            places.give_back(waiters.got[-1])
        waiters.wait_for(3)

    assert waiters.went == ["first", "second", "third"]


def test_one_owner_fills_half_of_the_queue_at_most() -> None:
    with one_place(max_waiting=4) as (places, _):
        waiters = Waiters(places)
        waiters.add("many")
        waiters.add("many")

        with pytest.raises(PoolBusyError, match="2 callers wait already"):
            places.take(None, owner="many")
        waiters.add("few")
        waiters.add("other")
        with pytest.raises(PoolBusyError, match="4 callers wait already"):
            places.take(None, owner="third")


def test_who_has_a_place_and_who_waits_is_told() -> None:
    LEDGER.open()
    places = Places("counted", 1, max_waiting=8, patience=None)

    held = places.take(None)
    waiters = Waiters(places)
    waiters.add("one")
    waiters.add("two")
    wait_until(lambda: _jobs("waiting") == 2)
    while_busy = _jobs("running")
    places.close()
    wait_until(lambda: _jobs("waiting") == 0)
    places.give_back(held)

    assert while_busy == 1
    assert _jobs("running") == 0


def _jobs(state: str) -> float:
    """As Prometheus would be told."""
    found = (each for each in own_families() if each.name == f"kamu_node_jobs_{state}")
    return next(one.value for each in found for one in each.samples if one.labels == {"pool": "counted"})
