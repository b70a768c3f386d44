import threading

import pytest

from kamu_assets.engines.slices.lane import Lane

MIB = 1 << 20


def test_items_are_done_in_their_order() -> None:
    done: list[int] = []
    lane = Lane("test", done.append, limit_bytes=MIB)

    for number in range(100):
        lane.put(number, MIB)
    lane.finish()

    assert done == list(range(100))


def test_little_work_is_done_without_a_thread() -> None:
    threads: list[str] = []
    lane: Lane[int] = Lane("test", lambda _: threads.append(threading.current_thread().name), limit_bytes=MIB)

    lane.put(1, 10)
    lane.finish()

    assert threads == [threading.current_thread().name]


def test_whoever_is_far_ahead_waits() -> None:
    go, waited = threading.Event(), []
    lane: Lane[int] = Lane("test", lambda _: waited.append(go.wait()), limit_bytes=MIB)
    lane.put(1, 2 * MIB)
    lane.put(2, 2 * MIB)
    blocked = threading.Thread(target=lane.put, args=(3, MIB))

    blocked.start()
    blocked.join(0.2)
    assert blocked.is_alive()
    go.set()
    blocked.join()
    lane.finish()

    assert len(waited) == 3


def test_what_goes_wrong_is_raised_where_more_is_put() -> None:
    def fail(_: int) -> None:
        raise ZeroDivisionError

    lane = Lane("test", fail, limit_bytes=MIB)

    with pytest.raises(ZeroDivisionError):
        put_many(lane)
    with pytest.raises(ZeroDivisionError):
        lane.finish()


def put_many(lane: Lane[int]) -> None:
    for number in range(1000):
        lane.put(number, 2 * MIB)


def test_small_work_that_goes_wrong_is_raised_at_the_end() -> None:
    def fail(_: int) -> None:
        raise ZeroDivisionError

    lane = Lane("test", fail, limit_bytes=MIB)
    lane.put(1, 1)

    with pytest.raises(ZeroDivisionError):
        lane.finish()


def test_what_is_abandoned_is_not_done() -> None:
    done: list[int] = []
    go = threading.Event()

    def work(number: int) -> None:
        go.wait()
        done.append(number)

    lane = Lane("test", work, limit_bytes=100 * MIB)
    for number in range(10):
        lane.put(number, MIB)
    threading.Timer(0.05, go.set).start()
    lane.abandon()

    assert len(done) <= 1
    assert not [thread for thread in threading.enumerate() if thread.name == "test"]
