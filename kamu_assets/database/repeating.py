"""Changes that are made again when another transaction was in their way."""

from collections.abc import Callable
from typing import TypeVar

from kamu_assets.database.database import Database
from kamu_assets.database.errors import TransactionConflictError
from kamu_assets.database.transaction import Transaction

MAX_CONFLICTS = 5

T = TypeVar("T")


def repeated(database: Database, change: Callable[[Transaction], T]) -> T:
    """What comes of a change, made in as many transactions as it takes until one of them is not rolled back."""
    for _ in range(MAX_CONFLICTS):
        try:
            return _made(database, change)
        except TransactionConflictError:
            continue
    return _made(database, change)


def _made(database: Database, change: Callable[[Transaction], T]) -> T:
    with database.transaction() as tx:
        return change(tx)
