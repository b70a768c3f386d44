"""Processes of several machines tap each other through their PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import text

from kamu_assets.database.wakeups import Wakeups
from kamu_assets.database.wakeups_afar import Carrier
from tests.contracts.conftest import opened
from tests.support.waiting import wait_until

TOPICS = ("news", "runs")
CUT_ALL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture
def machines(postgres_database: str, tmp_path: Path) -> Iterator[tuple[Wakeups, Wakeups]]:
    """Two, with two processes each."""
    wakeups = Wakeups(tmp_path / "one"), Wakeups(tmp_path / "two")
    with ExitStack() as running:
        for each in (*wakeups, *wakeups):
            database = running.enter_context(opened(postgres_database))
            running.enter_context(Carrier(database=database, wakeups=each, topics=TOPICS).running())
        yield wakeups


def reaches(here: Wakeups, there: Wakeups, topic: str) -> None:
    """Sooner or later: carriers may be just starting."""
    with there.listen(topic) as listener:

        def is_tapped() -> bool:
            here.notify(topic)
            return listener.wait(0.2)

        wait_until(is_tapped)


def test_taps_reach_other_machines_and_end_there(machines: tuple[Wakeups, Wakeups]) -> None:
    one, two = machines
    reaches(one, two, "news")
    reaches(two, one, "runs")

    with one.listen("news") as here, two.listen("news") as there, two.listen("runs") as other:
        while here.wait(0.5) or there.wait(0.5) or other.wait(0.5):
            # Of what came before.
            continue
        one.notify("news")

        assert there.wait(60)
        assert here.wait(60)
        # It does not come back, nor go around.
        assert not here.wait(1)
        assert not there.wait(0)
        assert not other.wait(0)


def test_taps_go_on_when_the_server_has_cut_all_connections(
    machines: tuple[Wakeups, Wakeups], postgres_database: str
) -> None:
    reaches(*machines, "news")

    with opened(postgres_database) as database, database.transaction() as tx:
        tx.execute(text(CUT_ALL))

    reaches(*machines, "news")


def test_a_database_of_one_machine_has_nobody_to_tell(migrated_sqlite: str, tmp_path: Path) -> None:
    with opened(migrated_sqlite) as database:
        assert not database.is_shared
        with Carrier(database=database, wakeups=Wakeups(tmp_path), topics=TOPICS).running():
            assert list(tmp_path.glob("*.sock")) == []
