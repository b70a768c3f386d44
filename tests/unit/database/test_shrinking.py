"""Files become smaller when rows are gone, and whoever works with them hardly notices."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kamu_assets.database import shrinking
from kamu_assets.database.database import Database
from kamu_assets.database.shrinking import Shrinking
from kamu_assets.durability import Durability

ROWS, KEPT = 6000, 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.db"


def fill(file: sqlite3.Connection) -> None:
    file.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
    file.execute("CREATE INDEX by_text ON notes (text)")
    file.executemany("INSERT INTO notes VALUES (?, ?)", ((number, f"{number:04}" * 250) for number in range(ROWS)))
    file.commit()


def forget(file: sqlite3.Connection) -> None:
    file.execute("DELETE FROM notes WHERE id >= ?", (KEPT,))
    file.commit()


def ids(file: sqlite3.Connection) -> list[int]:
    return [row[0] for row in file.execute("SELECT id FROM notes ORDER BY id")]


def one(path: Path) -> Shrinking:
    def files() -> Iterator[Path]:
        yield path

    return Shrinking(files)


def made_long_ago(path: Path) -> sqlite3.Connection:
    """As everybody makes them, Dagster for one."""
    file = sqlite3.connect(path, timeout=0)
    file.execute("PRAGMA journal_mode = WAL")
    fill(file)
    return file


def test_what_is_removed_from_the_nodes_database_is_given_back_step_by_step(path: Path) -> None:
    database = Database.open(f"sqlite:///{path}", durability=Durability.FAST)
    with database.transaction():
        pass
    with closing(sqlite3.connect(path, timeout=0)) as file:
        fill(file)
        forget(file)
        before = path.stat().st_size

        for number, pages in enumerate(one(path).batches(), 1):
            assert pages <= shrinking.PAGES_AT_ONCE
            # Others are not even waited for.
            with database.reading():
                file.execute("INSERT INTO notes VALUES (?, '')", (ROWS + number,))
                file.commit()

        assert number > 1
        assert path.stat().st_size < before / 10
        assert ids(file) == [*range(KEPT), *range(ROWS + 1, ROWS + 1 + number)]
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


def test_a_file_that_was_not_made_for_it_is_written_anew_once(path: Path) -> None:
    with closing(made_long_ago(path)) as file:
        assert len(list(one(path).batches())) == 1
        forget(file)
        before = path.stat().st_size

        assert sum(one(path).batches()) > 0

        assert path.stat().st_size < before / 10
        assert ids(file) == list(range(KEPT))
        assert list(one(path).batches()) == []


def test_a_large_file_is_left_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrinking, "LARGE_BYTES", 2**20)
    with closing(made_long_ago(path)) as file:
        forget(file)
        before = path.stat().st_size

        assert list(one(path).batches()) == []
        assert path.stat().st_size == before


def test_who_works_with_a_file_is_not_disturbed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrinking, "_PATIENCE_SECONDS", 0.1)
    with closing(made_long_ago(path)) as file:
        file.execute("DELETE FROM notes WHERE id >= ?", (KEPT,))

        assert list(one(path).batches()) == []

        file.commit()
        assert ids(file) == list(range(KEPT))


def test_small_files_are_not_opened(tmp_path: Path) -> None:
    small = tmp_path / "small.db"
    small.write_bytes(b"no database")

    assert list(one(small).batches()) == []


def test_a_damaged_file_keeps_no_others_as_large_as_they_were(path: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(b"no database" * shrinking.SMALL_BYTES)
    with closing(made_long_ago(path)) as file:
        forget(file)
        before = path.stat().st_size

        assert sum(Shrinking(lambda: iter([damaged, path])).batches()) > 0

        assert path.stat().st_size < before / 10
