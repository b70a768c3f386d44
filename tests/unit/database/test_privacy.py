"""Who may read the file of a SQLite database."""

import stat
from pathlib import Path

from kamu_assets.database.database import Database


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("node.db*")}


def migrated(path: Path) -> Database:
    database = Database.open(f"sqlite:///{path}")
    database.migrate()
    with database.transaction():
        pass
    return database


def test_a_new_database_is_its_owners(tmp_path: Path) -> None:
    database = migrated(tmp_path / "new" / "node.db")

    assert modes(tmp_path / "new") == {"node.db": 0o600, "node.db-wal": 0o600, "node.db-shm": 0o600}
    database.close()


def test_one_that_strangers_could_read_is_closed_to_them_and_a_group_keeps_it(tmp_path: Path) -> None:
    migrated(tmp_path / "node.db").close()
    (tmp_path / "node.db").chmod(0o664)

    migrated(tmp_path / "node.db").close()

    assert modes(tmp_path)["node.db"] == 0o660
