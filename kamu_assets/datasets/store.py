"""Rows of the registry: which datasets exist and what they are called."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Column, Row, Table, Text, UniqueConstraint, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from kamu_assets.database.columns import (
    AccountIDColumn,
    AccountNameColumn,
    DatasetIDColumn,
    DatasetNameColumn,
    EventTimeColumn,
)
from kamu_assets.database.frequent import Frequent
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.errors import DatasetNotFoundError, NameCollisionError, NameTooLongError, RefCollisionError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.identity import AccountName, DatasetAlias, DatasetID, DatasetKind
from kamu_assets.odf.names import DatasetName

# Names are indexed, and part of addresses, folders of Dagster and tables on the screen.
_MAX_NAME = 255

datasets = Table(
    "datasets",
    metadata,
    Column("id", DatasetIDColumn, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("owner_id", AccountIDColumn, nullable=False, index=True),
    Column("account", AccountNameColumn, nullable=False),
    Column("name", DatasetNameColumn, nullable=False),
    # Names are the same when they differ only in case.
    Column("folded_account", Text, nullable=False),
    Column("folded_name", Text, nullable=False),
    Column("created_at", EventTimeColumn, nullable=False),
    UniqueConstraint("folded_account", "folded_name"),
)

# Deleted datasets whose files may still be there: their `refs/head` must not bring them back.
removals = Table("dataset_removals", metadata, Column("id", DatasetIDColumn, primary_key=True))

# Made once: every commit executes these.
_BY_ID = Frequent(select(datasets).where(datasets.c.id == bindparam("dataset")))
_BY_ALIAS = Frequent(
    select(datasets).where(
        datasets.c.folded_account == bindparam("account"), datasets.c.folded_name == bindparam("name")
    )
)


class DatasetStore:
    """The registry."""

    def find(self, tx: Transaction, dataset: DatasetID) -> DatasetEntry | None:
        for row in tx.find(_BY_ID, {"dataset": dataset}):
            return _entry(row)
        return None

    def get(self, tx: Transaction, dataset: DatasetID) -> DatasetEntry:
        entry = self.find(tx, dataset)
        if entry is None:
            raise DatasetNotFoundError(dataset)
        return entry

    def find_alias(self, tx: Transaction, account: AccountName, name: DatasetName) -> DatasetEntry | None:
        for row in tx.find(_BY_ALIAS, {"account": account.folded, "name": name.folded}):
            return _entry(row)
        return None

    def list(
        self, tx: Transaction, *, account: AccountName | None = None, limit: int | None = None, offset: int = 0
    ) -> Sequence[DatasetEntry]:
        """By account and name."""
        query = select(datasets).order_by(datasets.c.folded_account, datasets.c.folded_name).limit(limit).offset(offset)
        if account is not None:
            query = query.where(datasets.c.folded_account == account.folded)
        return [_entry(row) for row in tx.execute(query)]

    def count(self, tx: Transaction, *, account: AccountName | None = None) -> int:
        query = select(func.count()).select_from(datasets)
        if account is not None:
            query = query.where(datasets.c.folded_account == account.folded)
        return int(tx.execute(query).scalar_one())

    def get_many(self, tx: Transaction, ids: Collection[DatasetID]) -> Sequence[DatasetEntry]:
        """Those of the datasets that exist."""
        return [_entry(row) for row in tx.execute(select(datasets).where(datasets.c.id.in_(ids)))]

    def check_free(self, tx: Transaction, entry: DatasetEntry) -> None:
        """Raise when the identity or the name is taken, or the name too long."""
        _check_length(entry.alias)
        if known := self.find(tx, entry.id):
            raise RefCollisionError(entry.id, known.alias)
        if self.find_alias(tx, entry.account, entry.name):
            raise NameCollisionError(entry.alias)

    def add(self, tx: Transaction, entry: DatasetEntry) -> None:
        """Register, unless the name or the identity is taken."""
        self.check_free(tx, entry)
        try:
            tx.execute(insert(datasets).values(**_values(entry)))
        except IntegrityError as error:  # Somebody took the name since we looked.
            raise NameCollisionError(entry.alias) from error
        tx.execute(delete(removals).where(removals.c.id == entry.id))

    def rename(self, tx: Transaction, dataset: DatasetID, name: DatasetName) -> None:
        entry = self.get(tx, dataset)
        taken = self.find_alias(tx, entry.account, name)
        alias = DatasetAlias(entry.account, name)
        _check_length(alias)
        if taken is not None and taken.id != dataset:
            raise NameCollisionError(alias)
        change = update(datasets).where(datasets.c.id == dataset)
        try:
            tx.execute(change.values(name=name, folded_name=name.folded))
        except IntegrityError as error:
            raise NameCollisionError(alias) from error

    def remove(self, tx: Transaction, dataset: DatasetID) -> None:
        """Forget the dataset and remember that its files have to go."""
        tx.execute(delete(datasets).where(datasets.c.id == dataset))
        tx.execute(insert(removals).values(id=dataset))

    def removals(self, tx: Transaction) -> Sequence[DatasetID]:
        """Deleted datasets whose files may still be there."""
        return list(tx.execute(select(removals.c.id)).scalars())

    def removed(self, tx: Transaction, dataset: DatasetID) -> None:
        """The files are gone."""
        tx.execute(delete(removals).where(removals.c.id == dataset))


def _check_length(alias: DatasetAlias) -> None:
    if len(str(alias.name)) > _MAX_NAME:
        raise NameTooLongError(alias, _MAX_NAME)


def _values(entry: DatasetEntry) -> dict[str, object]:
    return {
        "id": entry.id,
        "kind": entry.kind.value,
        "owner_id": entry.owner,
        "account": entry.account,
        "name": entry.name,
        "folded_account": entry.account.folded,
        "folded_name": entry.name.folded,
        "created_at": entry.created_at,
    }


def _entry(row: Row[Any]) -> DatasetEntry:
    return DatasetEntry(
        id=row.id,
        kind=DatasetKind(row.kind),
        owner=row.owner_id,
        account=row.account,
        name=row.name,
        created_at=row.created_at,
    )
