import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kamu_assets.coordinator.ingest.errors import BadInputError, QueueFullError
from kamu_assets.coordinator.ingest.push.queue import Outcome, Push, PushQueue
from kamu_assets.coordinator.results import PushResult
from kamu_assets.errors import UnavailableError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash

DATASET, OTHER = DatasetID.seeded(b"one"), DatasetID.seeded(b"two")
HEAD = Multihash.sha3_256(b"head")


class Committer:
    """Keeps the door shut until told; remembers the groups."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.open = threading.Event()
        self.entered = threading.Event()

    def __call__(self, _: DatasetID, pushes: Sequence[Push]) -> Sequence[Outcome]:
        self.groups.append([push.name for push in pushes])
        self.entered.set()
        assert self.open.wait(20)
        if any(push.name == "broken disk" for push in pushes):
            raise UnavailableError("the disk is full")
        if any(push.name == "bug" for push in pushes):
            raise ZeroDivisionError
        return [
            BadInputError("bad") if push.name == "bad" else PushResult(HEAD, 1, up_to_date=False) for push in pushes
        ]


def a_push(name: str, size: int = 1) -> Push:
    return Push(b"x" * size, name)


def push_in_order(queue: PushQueue, committer: Committer, pushes: list[Push]) -> list[object]:
    def push(one: Push) -> object:
        try:
            return queue.push(DATASET, one)
        except Exception as error:  # noqa: BLE001 - whatever a caller would see
            return error

    with ThreadPoolExecutor(len(pushes)) as threads:
        first = threads.submit(push, pushes[0])
        assert committer.entered.wait(20)
        rest = []
        for place, one in enumerate(pushes[1:], start=1):
            rest.append(threads.submit(push, one))
            while len(queue._lanes[DATASET].waiting) < place:
                threading.Event().wait(0.001)
        committer.open.set()
        return [found.result(20) for found in (first, *rest)]


def test_those_who_wait_are_committed_together() -> None:
    committer = Committer()

    push_in_order(PushQueue(committer), committer, [a_push(name) for name in "abcd"])

    assert committer.groups == [["a"], ["b", "c", "d"]]


def test_a_group_ends_at_its_size() -> None:
    committer = Committer()

    push_in_order(PushQueue(committer, group_bytes=10), committer, [a_push(name, 5) for name in "abcd"])

    assert committer.groups == [["a"], ["b", "c"], ["d"]]


def test_a_file_is_committed_alone() -> None:
    committer = Committer()
    pushes = [a_push("a"), a_push("b"), Push(Path("body"), "file"), a_push("c"), a_push("d")]

    push_in_order(PushQueue(committer), committer, pushes)

    assert committer.groups == [["a"], ["b"], ["file"], ["c", "d"]]


def test_everybody_gets_the_own_outcome() -> None:
    committer = Committer()

    found = push_in_order(PushQueue(committer), committer, [a_push("a"), a_push("bad"), a_push("c")])

    assert [type(one) for one in found] == [PushResult, BadInputError, PushResult]


@pytest.mark.parametrize("name", ["broken disk", "bug"])
def test_a_failed_commit_fails_its_group_and_no_other(name: str) -> None:
    committer = Committer()

    found = push_in_order(PushQueue(committer, group_bytes=2), committer, [a_push(name, 2), a_push("b", 2)])

    assert isinstance(found[0], UnavailableError if name == "broken disk" else ZeroDivisionError)
    assert isinstance(found[1], PushResult)


def test_beyond_the_limit_pushes_are_refused_and_later_taken_again() -> None:
    committer = Committer()
    queue = PushQueue(committer, queue_bytes=10)

    found = push_in_order(queue, committer, [a_push("a", 6)])
    assert isinstance(found[0], PushResult)
    committer.open.clear()
    committer.entered.clear()
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(queue.push, DATASET, a_push("b", 6))
        assert committer.entered.wait(20)
        with pytest.raises(QueueFullError, match=r"ingest\.queue_limit"):
            queue.push(OTHER, a_push("c", 6))
        committer.open.set()
        held.result(20)

    assert queue.push(OTHER, a_push("c", 6)).records == 1
    assert queue._lanes == {}


def test_a_push_larger_than_the_queue_passes_when_nothing_waits() -> None:
    committer = Committer()
    committer.open.set()

    assert PushQueue(committer, queue_bytes=10).push(DATASET, a_push("a", 100)).records == 1
