import fcntl
import multiprocessing
import os
import resource
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from kamu_assets.database.wakeups import MAX_NAME_BYTES, MAX_PATH_BYTES, Wakeups, readable
from kamu_assets.errors import UnavailableError

MORE_THAN_SELECT_TAKES = 1500


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="kamu-") as name:
        yield Path(name) / "run"


@pytest.fixture
def long_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose sockets would have names longer than the system takes."""
    folder = tmp_path / ("long" * 30)
    yield folder
    shutil.rmtree(Wakeups(folder)._directory, ignore_errors=True)


def test_a_listener_is_tapped(folder: Path) -> None:
    wakeups = Wakeups(folder)

    with wakeups.listen("outbox") as listener:
        wakeups.notify("outbox")

        assert listener.wait(10)


def test_without_a_tap_the_time_runs_out(folder: Path) -> None:
    with Wakeups(folder).listen("outbox") as listener:
        before = time.monotonic()

        assert not listener.wait(0.05)
        assert time.monotonic() - before >= 0.05


def test_a_tap_that_came_early_is_not_lost(folder: Path) -> None:
    wakeups = Wakeups(folder)
    with wakeups.listen("outbox") as listener:
        wakeups.notify("outbox")
        time.sleep(0.01)

        assert listener.wait(0)


def test_many_taps_are_one(folder: Path) -> None:
    wakeups = Wakeups(folder)
    with wakeups.listen("outbox") as listener:
        # More than a socket buffers: notifying never waits.
        for _ in range(2000):
            wakeups.notify("outbox")

        assert listener.wait(10)
        assert not listener.wait(0)


def test_every_listener_of_a_topic_is_tapped_and_no_other(folder: Path) -> None:
    wakeups = Wakeups(folder)
    with wakeups.listen("warm") as first, wakeups.listen("warm") as second, wakeups.listen("warm_up") as other:
        wakeups.notify("warm")

        assert first.wait(10)
        assert second.wait(10)
        assert not other.wait(0)


def test_nobody_may_be_listening(folder: Path) -> None:
    Wakeups(folder).notify("outbox")


def test_a_closed_listener_leaves_no_socket(folder: Path) -> None:
    with Wakeups(folder).listen("outbox"):
        assert len(list(folder.iterdir())) == 1

    assert list(folder.iterdir()) == []


def test_the_socket_of_a_dead_process_is_removed(folder: Path) -> None:
    wakeups = Wakeups(folder)
    with wakeups.listen("outbox") as listener:
        dead = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        dead.bind(str(folder / "outbox-1-dead.sock"))
        dead.close()

        wakeups.notify("outbox")

        assert listener.wait(10)
        assert not (folder / "outbox-1-dead.sock").exists()


def test_several_listeners_can_be_waited_for_at_once(folder: Path) -> None:
    wakeups = Wakeups(folder)
    with wakeups.listen("outbox") as outbox, wakeups.listen("flows") as flows:
        threading.Timer(0.05, wakeups.notify, ["flows"]).start()

        assert readable([outbox, flows], 10) == [flows]


def listen_outside(folder: Path, ready: Connection) -> None:
    with Wakeups(folder).listen("outbox") as listener:
        ready.send("listening")
        ready.send(listener.wait(30))


@pytest.mark.parametrize("place", ["folder", "long_folder"])
def test_other_processes_are_tapped(request: pytest.FixtureRequest, place: str) -> None:
    folder: Path = request.getfixturevalue(place)
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=listen_outside, args=(folder, theirs))
    process.start()
    assert ours.recv() == "listening"

    Wakeups(folder).notify("outbox")

    assert ours.recv() is True
    process.join()


def test_a_long_path_moves_to_a_short_private_folder(long_folder: Path) -> None:
    wakeups = Wakeups(long_folder)
    with wakeups.listen("a" * 24):
        (path,) = wakeups._directory.iterdir()

        assert len(os.fsencode(path)) <= MAX_PATH_BYTES
        assert path.parent.parent == Path(tempfile.gettempdir())
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert Wakeups(long_folder)._directory == path.parent
        assert Wakeups(long_folder / "other")._directory != path.parent


def test_the_longest_path_that_fits_stays(folder: Path) -> None:
    length = MAX_PATH_BYTES - MAX_NAME_BYTES - 1 - len(os.fsencode(folder)) - 1
    longest = folder / ("x" * length)
    wakeups = Wakeups(longest)

    with wakeups.listen("a" * 24) as listener:
        wakeups.notify("a" * 24)

        assert listener.wait(10)
        assert wakeups._directory == longest
    assert Wakeups(folder / ("x" * (length + 1)))._directory.parent == Path(tempfile.gettempdir())


def test_a_folder_that_is_not_ours_is_refused(long_folder: Path, tmp_path: Path) -> None:
    wakeups = Wakeups(long_folder)
    wakeups._directory.symlink_to(tmp_path)

    with pytest.raises(UnavailableError, match="not a folder of ours"):
        wakeups.listen("outbox")

    wakeups._directory.unlink()


@pytest.mark.parametrize("topic", ["", "Outbox", "a-b", "../x", "a" * 25, "*"])
def test_a_topic_is_a_short_word(folder: Path, topic: str) -> None:
    with pytest.raises(ValueError, match="not a topic"):
        Wakeups(folder).notify(topic)


def test_a_forked_child_does_not_remove_its_parents_socket(folder: Path) -> None:
    wakeups = Wakeups(folder)
    with wakeups.listen("outbox") as listener:
        child = os.fork()
        if child == 0:
            try:
                listener.close()
            finally:
                os._exit(0)
        os.waitpid(child, 0)

        wakeups.notify("outbox")

        assert listener.wait(10)


def test_somebody_who_cannot_be_tapped_keeps_no_others_from_it(folder: Path) -> None:
    wakeups = Wakeups(folder)
    with wakeups.listen("outbox") as first, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        # Of another kind; as with those of other users, sending fails.
        other.bind(str(folder / "outbox-1-other.sock"))
        with wakeups.listen("outbox") as second:
            wakeups.notify("outbox")

            assert first.wait(10)
            assert second.wait(10)


def test_a_process_with_thousands_of_open_files_is_tapped(folder: Path) -> None:
    wakeups = Wakeups(folder)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    try:
        with wakeups.listen("outbox") as listener:
            high = fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD_CLOEXEC, MORE_THAN_SELECT_TAKES)
            with socket.socket(fileno=high) as copy:
                wakeups.notify("outbox")

                assert readable([copy], 10) == [copy]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
