import errno
import itertools
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Iterator
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from kamu_assets.durability import Durability
from kamu_assets.errors import UnavailableError
from kamu_assets.storage import files as storage_files
from kamu_assets.storage.errors import (
    InvalidKeyError,
    PreconditionFailedError,
    StorageFullError,
    StorageUnavailableError,
)
from kamu_assets.storage.local import STAGING, LocalObjectStore
from kamu_assets.storage.object_store import IfMatch

MIB = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


class Journal:
    """What was asked of the disk, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self._fsync = os.fsync
        self._replace = os.replace
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(os, "replace", self.replace)

    def fsync(self, descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        self.steps.append("sync pending" if name.startswith(".pending-") else f"sync {name}")
        self._fsync(descriptor)

    def replace(self, source: str, target: str) -> None:
        self.steps.append(f"name {Path(target).name}")
        self._replace(source, target)


def test_full_durability_syncs_content_then_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalObjectStore(root, Durability.FULL)
    store.put("a/first", b"x")
    journal = Journal(monkeypatch)

    store.put("a/second", b"x")

    assert journal.steps == ["sync pending", "name second", "sync a"]


def test_new_folders_are_synced_up_to_the_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(monkeypatch)

    LocalObjectStore(root, Durability.FULL).put("a/b/key", b"x")

    named = journal.steps.index("name key")
    assert {f"sync {folder}" for folder in ("a", "store", root.parent.name)} <= set(journal.steps[:named])
    assert journal.steps[named + 1 :] == ["sync b"]


def test_a_file_from_elsewhere_is_synced_before_it_gets_its_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalObjectStore(root, Durability.FULL)
    store.put("a/other", b"x")
    staged = store.staging() / "slice"
    staged.write_bytes(b"content")
    journal = Journal(monkeypatch)

    store.put_file(staged, "a/hash")

    assert journal.steps == ["sync slice", "name hash", "sync a"]


def test_content_that_is_there_is_acknowledged_only_when_it_and_its_name_are_synced(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalObjectStore(root, Durability.FULL)
    store.put("a/hash", b"content")
    staged = store.staging() / "slice"
    staged.write_bytes(b"content")
    journal = Journal(monkeypatch)

    store.put_file(staged, "a/hash")

    assert journal.steps == ["sync hash", "sync a"]


def test_fast_durability_leaves_syncing_to_the_system(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(monkeypatch)

    LocalObjectStore(root, Durability.FAST).put("a/key", b"x")

    assert journal.steps == ["name key"]


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file grows beyond one MiB: the system refuses the write half way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_disk")
def test_a_put_that_does_not_fit_leaves_nothing_behind(root: Path) -> None:
    store = LocalObjectStore(root)
    store.put("a/key", b"old")

    with pytest.raises(StorageFullError, match="no space left") as full:
        store.put("a/key", bytes(2 * MIB))

    assert full.value.folder == str(root / "a")
    assert isinstance(full.value, UnavailableError)
    assert files(root) == {"a/key"}
    assert store.get("a/key") == b"old"


@pytest.mark.usefixtures("small_disk")
def test_a_writer_that_does_not_fit_leaves_nothing_behind(root: Path) -> None:
    store = LocalObjectStore(root)
    pending = store.writer("a")
    pending.write(bytes(MIB - 1))

    with pytest.raises(StorageFullError):
        pending.write(bytes(MIB))

    assert files(root) == set()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_is_full_when_the_object_is_finished_leaves_nothing_behind(
    root: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store = LocalObjectStore(root)
    store.put("a/other", b"x")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)

    with pytest.raises(StorageFullError) as error:
        store.put("a/key", b"x")

    assert error.value.folder == str(root / "a")
    assert files(root) == {"a/other"}


def test_a_disk_that_refuses_is_unavailable(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)

    with pytest.raises(StorageUnavailableError, match="Input/output error"):
        LocalObjectStore(root).put("a/key", b"x")


def test_what_a_dead_writer_left_is_not_listed_and_can_be_removed(root: Path) -> None:
    store = LocalObjectStore(root)
    store.put("a/key", b"x")
    (root / "a" / ".pending-0123456789abcdef").write_bytes(b"half")
    (store.staging() / "slice.parquet").write_bytes(b"half")

    assert [info.key for info in store.list()] == ["a/key"]
    assert list(store.folders()) == ["a"]
    assert store.remove_leftovers(older_than=3600) == ()
    assert store.remove_leftovers(older_than=0) == (f"{STAGING}/slice.parquet", "a/.pending-0123456789abcdef")
    assert files(root) == {"a/key"}


def test_other_hidden_files_are_left_alone(root: Path) -> None:
    store = LocalObjectStore(root)
    store.put("a/key", b"x")
    (root / "a" / ".DS_Store").write_bytes(b"")

    assert [info.key for info in store.list()] == ["a/key"]
    assert store.remove_leftovers(older_than=0) == ()


def test_a_key_below_an_object_is_refused(root: Path) -> None:
    store = LocalObjectStore(root)
    store.put("a/key", b"x")

    for key in ("a/key/below", "a"):
        with pytest.raises(InvalidKeyError):
            store.put(key, b"x")

    assert files(root) == {"a/key"}


def test_the_layout_is_plain_files(root: Path) -> None:
    LocalObjectStore(root).put("fed01/refs/head", b"f1620")

    assert (root / "fed01/refs/head").read_bytes() == b"f1620"


def test_another_file_system_is_copied_from(root: Path) -> None:
    elsewhere = Path("/dev/shm") / f"kamu-test-{os.getpid()}"  # noqa: S108 - a place on another file system
    if not elsewhere.parent.is_dir() or elsewhere.parent.stat().st_dev == root.parent.stat().st_dev:
        pytest.skip("there is only one file system to write to")
    elsewhere.write_bytes(b"content")

    LocalObjectStore(root).put_file(elsewhere, "a/hash")

    assert not elsewhere.exists()
    assert files(root) == {"a/hash"}


def add_ones(root: Path, count: int, ready: Connection) -> None:
    store = LocalObjectStore(root, Durability.FAST)
    ready.recv()
    while count:
        seen = store.stat("counter")
        value = int(store.get("counter"))
        try:
            store.put("counter", str(value + 1).encode(), condition=IfMatch(seen.etag))
        except PreconditionFailedError:
            continue
        count -= 1


def test_conditions_hold_between_processes(root: Path) -> None:
    store = LocalObjectStore(root, Durability.FAST)
    store.put("counter", b"0")
    context = multiprocessing.get_context("forkserver")
    ours, theirs = zip(*(context.Pipe() for _ in range(3)), strict=True)
    processes = [context.Process(target=add_ones, args=(root, 50, end)) for end in theirs]
    for process in processes:
        process.start()

    for end in ours:
        end.send("go")
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert store.get("counter") == b"150"


def write_forever(root: Path, ready: Connection) -> None:
    store = LocalObjectStore(root, Durability.FULL)
    ready.send("writing")
    for number in itertools.count():
        content = number.to_bytes(4, "big") * (MIB // 16)
        name = sha256(content).hexdigest()
        if number % 2:
            store.put(f"a/{name}", content)
            continue
        with store.writer("a") as pending:
            for start in range(0, len(content), 1000):
                pending.write(content[start : start + 1000])
            pending.commit(f"a/{name}")


def test_a_killed_writer_leaves_whole_objects_and_removable_rests(root: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    for delay in (0.0, 0.013, 0.05):
        ours, theirs = context.Pipe()
        process = context.Process(target=write_forever, args=(root, theirs))
        process.start()
        assert ours.recv() == "writing"
        time.sleep(delay)
        process.kill()
        process.join()

    store = LocalObjectStore(root)
    listed = [info.key for info in store.list()]
    assert all(sha256(store.get(key)).hexdigest() == key.removeprefix("a/") for key in listed)
    store.remove_leftovers(older_than=0)
    assert files(root) == set(listed)


def test_an_etag_is_never_used_again(root: Path) -> None:
    store = LocalObjectStore(root, Durability.FAST)
    deadline = time.monotonic() + 0.2
    etags = []

    while time.monotonic() < deadline:
        etags.append(store.put("head", b"same size").etag)

    assert len(set(etags)) == len(etags)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_what_need_not_last_is_replaced_whole_and_leaves_nothing_behind(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(storage_files, "_exchanged", lambda *_: False)
    store = LocalObjectStore(root)
    infos = [store.put("refs/head", data, lasting=False) for data in (b"old", b"newer", b"newest")]
    assert store.get("refs/head") == b"newest"
    assert files(root) == {"refs/head"}
    assert len({info.etag for info in infos}) == len(infos)


def test_a_folder_never_changes_places_with_a_file(root: Path) -> None:
    store = LocalObjectStore(root)
    store.put("a/b", b"below")
    with pytest.raises(InvalidKeyError):
        store.put("a", b"in its place", lasting=False)
    assert store.get("a/b") == b"below"
