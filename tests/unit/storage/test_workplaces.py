"""Folders of jobs: gone when the job ends, found when it was killed."""

from __future__ import annotations

import fcntl
import multiprocessing
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from kamu_assets.storage.errors import StorageUnavailableError
from kamu_assets.storage.local import LocalObjectStore
from kamu_assets.storage.workplaces import abandoned, workplace


def test_a_workplace_is_gone_with_its_job(tmp_path: Path) -> None:
    with workplace(tmp_path, "fetch") as folder:
        (folder / "body").write_bytes(b"x")
        assert folder.parent == tmp_path

    assert list(tmp_path.iterdir()) == []


def test_a_job_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "body").write_bytes(b"x")
        raise KeyError

    with pytest.raises(KeyError), workplace(tmp_path, "fetch") as folder:
        fail(folder)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("link")

    with pytest.raises(StorageUnavailableError, match="link cannot be used"), workplace(tmp_path / "link", "fetch"):
        pass


def work(parent: Path, ready: Connection) -> None:
    with workplace(parent, "fetch") as folder:
        (folder / "below").mkdir()
        (folder / "below" / "body").write_bytes(b"half")
        ready.send(folder.name)
        ready.recv()


def test_only_folders_of_the_dead_are_abandoned(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(tmp_path, theirs))
    process.start()
    name = ours.recv()
    with workplace(tmp_path, "mine") as mine:
        assert abandoned(tmp_path, remove=True) == ()

        process.kill()
        process.join()

        assert abandoned(tmp_path, remove=False) == (name,)
        assert abandoned(tmp_path, remove=True) == (name,)
        assert abandoned(tmp_path, remove=True) == ()
        assert mine.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["a file"]


def test_a_folder_that_is_taken_for_abandoned_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    removed: list[Path] = []

    def remove_first(descriptor: int, how: int) -> None:
        if not removed:
            removed.extend(tmp_path.iterdir())
            removed[0].rmdir()
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", remove_first)

    with workplace(tmp_path, "fetch") as folder:
        assert folder not in removed
        assert folder.is_dir()


def test_files_of_a_workplace_are_never_too_old(tmp_path: Path) -> None:
    """What was fetched hours ago may still be read."""
    store = LocalObjectStore(tmp_path)
    with workplace(store.staging(), "fetch") as folder:
        (folder / "body").write_bytes(b"x")
        (folder / ".pending-0123456789abcdef").write_bytes(b"x")
        (store.staging() / "slice").write_bytes(b"x")

        assert store.remove_leftovers(older_than=0, dry_run=True) == (".staging/slice",)
        assert store.remove_leftovers(older_than=0) == (".staging/slice",)

        assert len(list(folder.iterdir())) == 2
