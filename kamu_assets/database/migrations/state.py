"""Which migrations there are and which of them a database has seen."""

from pathlib import Path

from sqlalchemy import column, select, table

from kamu_assets.database.errors import DatabaseOutdatedError
from kamu_assets.database.transaction import Transaction

FOLDER = Path(__file__).parent
VERSION_TABLE = "alembic_version"


def revisions() -> list[str]:
    """All migrations in order: the names of their files."""
    return sorted(path.stem for path in (FOLDER / "versions").glob("[0-9]*.py"))


def predecessor(module: str) -> str | None:
    """The migration before the one in this module; the numbers of the files are their order."""
    order = revisions()
    position = order.index(module.rpartition(".")[2])
    return order[position - 1] if position else None


def require_current(tx: Transaction) -> None:
    """Raise DatabaseOutdatedError unless the database has seen all migrations."""
    found = current(tx)
    expected = revisions()[-1]
    if found != expected:
        raise DatabaseOutdatedError(found, expected)


def current(tx: Transaction) -> str | None:
    """The last migration the database has seen."""
    if not tx.has_table(VERSION_TABLE):
        return None
    return tx.execute(select(column("version_num")).select_from(table(VERSION_TABLE))).scalar_one_or_none()
