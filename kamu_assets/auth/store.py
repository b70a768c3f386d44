"""Rows of accounts and of their access tokens."""

from dataclasses import dataclass

from sqlalchemy import Boolean, Column, ForeignKey, Row, Table, Text, bindparam, func, select, update

from kamu_assets.auth.errors import AccountExistsError, AccountNotFoundError
from kamu_assets.auth.model import Account
from kamu_assets.auth.tokens import AccessToken
from kamu_assets.database.columns import AccountIDColumn, AccountNameColumn, TimestampColumn
from kamu_assets.database.frequent import Frequent
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.odf.identity import AccountID, AccountName
from kamu_assets.odf.timestamp import Timestamp

accounts = Table(
    "accounts",
    metadata,
    Column("id", AccountIDColumn, primary_key=True),
    Column("name", AccountNameColumn, nullable=False),
    Column("folded_name", Text, nullable=False, unique=True),
    Column("is_admin", Boolean, nullable=False),
    Column("created_at", TimestampColumn, nullable=False),
)
access_tokens = Table(
    "access_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", AccountIDColumn, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", Text, nullable=False),
    Column("created_at", TimestampColumn, nullable=False),
    Column("revoked_at", TimestampColumn),
)

# Made once: every request executes one of these.
_BY_NAME = Frequent(select(accounts).where(accounts.c.folded_name == bindparam("name")))
_BY_ID = Frequent(select(accounts).where(accounts.c.id == bindparam("account")))


@dataclass(frozen=True, slots=True)
class StoredToken:
    """What is kept of a token, with the account it stands for."""

    account: Account
    secret_hash: str
    is_revoked: bool


class AccountStore:
    """SQL of accounts."""

    def ensure(self, tx: Transaction, account: Account) -> bool:
        """Add an account unless it or its name is there; tells whether it was added."""
        insert = tx.insert(accounts).values(
            id=account.id,
            name=account.name,
            folded_name=account.name.folded,
            is_admin=account.is_admin,
            created_at=account.created_at,
        )
        return tx.execute(insert.on_conflict_do_nothing()).rowcount == 1

    def add(self, tx: Transaction, account: Account) -> None:
        """Add an account; AccountExistsError."""
        if not self.ensure(tx, account):
            raise AccountExistsError(account.name)

    def get(self, tx: Transaction, name: AccountName) -> Account:
        """The account of this name; AccountNotFoundError."""
        for row in tx.find(_BY_NAME, {"name": name.folded}):
            return _account(row)
        raise AccountNotFoundError(name)

    def find(self, tx: Transaction, account: AccountID) -> Account | None:
        """The account of this identity."""
        for row in tx.find(_BY_ID, {"account": account}):
            return _account(row)
        return None

    def count(self, tx: Transaction) -> int:
        """How many accounts there are."""
        return int(tx.execute(select(func.count()).select_from(accounts)).scalar_one())


class TokenStore:
    """SQL of access tokens; secrets never get here."""

    def ensure(self, tx: Transaction, token: AccessToken, account: AccountID, *, name: str, now: Timestamp) -> None:
        """Add a token unless it is there, valid or revoked."""
        insert = tx.insert(access_tokens).values(
            id=token.id.hex(), account_id=account, name=name, secret_hash=token.secret_hash, created_at=now
        )
        tx.execute(insert.on_conflict_do_nothing())

    def find(self, tx: Transaction, token: AccessToken) -> StoredToken | None:
        """What is known of a token with this id."""
        query = (
            select(access_tokens.c.secret_hash, access_tokens.c.revoked_at, *accounts.c)
            .join(accounts, accounts.c.id == access_tokens.c.account_id)
            .where(access_tokens.c.id == token.id.hex())
        )
        row = tx.execute(query).one_or_none()
        return None if row is None else StoredToken(_account(row), row.secret_hash, row.revoked_at is not None)

    def revoke(self, tx: Transaction, account: AccountID, *, name: str, now: Timestamp) -> int:
        """End the account's tokens of this name; tells how many."""
        mine = (access_tokens.c.account_id == account, access_tokens.c.name == name)
        alive = access_tokens.c.revoked_at.is_(None)
        return tx.execute(update(access_tokens).where(*mine, alive).values(revoked_at=now)).rowcount


def _account(row: Row[*tuple[object, ...]]) -> Account:
    return Account(row.id, row.name, row.is_admin, row.created_at)
