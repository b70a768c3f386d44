"""Roles that one at a time has, on SQLite and PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from kamu_assets.database import leadership, leadership_server
from kamu_assets.database.database import Database
from tests.contracts.conftest import opened
from tests.support.waiting import wait_until

NAME = "relay"
# Takes the role, says so, and does nothing any more.
HOLDER = """
import sys, time
from kamu_assets.database.database import Database
leadership = Database.open(sys.argv[1]).leadership("relay")
print(leadership.take(), flush=True)
time.sleep(300)
"""

FORGET_ALL_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@contextmanager
def another_process(url: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "True\n"
            yield process
        finally:
            process.kill()


def test_one_at_a_time_has_a_role(database: Database) -> None:
    with database.leadership(NAME) as one, database.leadership(NAME) as other, database.leadership("else") as third:
        assert one.take()
        assert one.take()
        assert not other.take()
        assert third.take()

        one.resign()
        one.resign()

        assert other.take()
        assert not one.take()


def test_people_see_whether_somebody_has_it(database: Database) -> None:
    with database.leadership(NAME, lasting=True) as one, database.leadership(NAME) as other:
        assert one.is_vacant()
        assert other.is_vacant()
        assert not one.holds()
        assert one.take()
        assert one.holds()
        assert not other.holds()
        assert not one.is_vacant()
        assert not other.is_vacant()
        assert database.leadership("else").is_vacant()

        one.resign()

        assert not one.holds()
        wait_until(other.is_vacant)


def test_a_lock_that_others_do_not_find_is_none(migrated_sqlite: str) -> None:
    with opened(migrated_sqlite) as database, database.leadership(NAME) as one, database.leadership(NAME) as other:
        assert one.take()
        one._path.unlink()  # type: ignore[attr-defined] # of a file

        assert other.take()
        assert not one.holds()
        assert not one.take()


def test_a_role_ends_with_its_process(migrated_url: str) -> None:
    with (
        opened(migrated_url) as database,
        database.leadership(NAME) as ours,
        another_process(migrated_url) as process,
    ):
        assert not ours.take()
        process.send_signal(signal.SIGKILL)

        wait_until(ours.take)


def test_a_forked_child_has_no_part_in_it(database: Database) -> None:
    with database.leadership(NAME) as ours, database.leadership(NAME) as others:
        assert ours.take()
        ready, done = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            os.write(ready[1], b"!")
            os.read(done[0], 1)
            os._exit(0)
        try:
            os.read(ready[0], 1)
            assert ours.take(), "the child has taken it with it"
            ours.resign()

            # Though the child still lives.
            assert others.take()
        finally:
            os.write(done[1], b"!")
            os.waitpid(child, 0)
            for end in (*ready, *done):
                os.close(end)


def test_a_server_that_forgot_us_is_noticed(migrated_postgres: str) -> None:
    with opened(migrated_postgres) as database, database.leadership(NAME) as ours, database.leadership(NAME) as others:
        assert ours.take()
        assert ours.holds()
        with database.transaction() as tx:
            tx.execute(text(FORGET_ALL_OTHERS))

        wait_until(others.take)
        assert not ours.holds()
        assert not ours.take()
        others.resign()
        assert ours.take()


def test_who_says_nothing_any_more_loses_a_lasting_role(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadership, "SILENT_SECONDS", 0.5)
    with database.leadership(NAME, lasting=True) as ours, database.leadership(NAME, lasting=True) as others:
        assert ours.take()
        for _ in range(10):
            assert ours.holds()
            assert not others.take()
            time.sleep(0.1)

        wait_until(others.take)

        assert not ours.holds()
        assert not ours.take()
        assert others.holds()


def test_roles_of_a_moment_need_no_signs_of_life(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadership, "SILENT_SECONDS", 0.0)
    with database.leadership(NAME) as ours, database.leadership(NAME) as others:
        assert ours.take()

        assert not any(others.take() for _ in range(3))
        assert ours.holds()


@pytest.mark.parametrize("name", ["", "Relay", "a b", "../x"])
def test_names_of_roles_are_checked(database: Database, name: str) -> None:
    with pytest.raises(ValueError, match="is not a role"):
        database.leadership(name)


def test_a_role_that_was_not_taken_in_full_is_left_to_others(
    migrated_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_connection: object) -> None:
        raise RuntimeError("a setting that the server does not know")

    with opened(migrated_postgres) as one, opened(migrated_postgres) as other:
        with monkeypatch.context() as old, one.leadership(NAME, lasting=True) as ours:
            old.setattr(leadership_server, "notice_soon", fail)
            with pytest.raises(RuntimeError):
                ours.take()

        with other.leadership(NAME, lasting=True) as theirs:
            wait_until(theirs.take)
