"""Locks that some share and one has alone."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kamu_assets.storage.locks import alone, shared


def test_some_share_what_one_may_not_have_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "one"

    with shared(path), shared(path), alone(path, patience=0.02) as is_alone:
        assert not is_alone
    with alone(path, patience=0) as is_alone, alone(path, patience=0) as is_second:
        assert (is_alone, is_second) == (True, False)


def test_one_waits_until_others_let_go(tmp_path: Path) -> None:
    path = tmp_path / "one"
    held, release = threading.Event(), threading.Event()

    def share() -> None:
        with shared(path):
            held.set()
            release.wait(60)

    thread = threading.Thread(target=share)
    thread.start()
    held.wait(60)
    threading.Timer(0.05, release.set).start()

    with alone(path, patience=60) as is_alone:
        assert is_alone
    thread.join()


def test_it_is_let_go_when_the_work_fails(tmp_path: Path) -> None:
    path = tmp_path / "one"
    with pytest.raises(ZeroDivisionError), shared(path):
        raise ZeroDivisionError

    with alone(path, patience=0) as is_alone:
        assert is_alone
