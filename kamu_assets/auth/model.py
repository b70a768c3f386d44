"""Accounts, and whoever stands behind a request."""

from dataclasses import dataclass

from kamu_assets.odf.identity import AccountID, AccountName
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True, slots=True)
class Account:
    """Someone with an identity."""

    id: AccountID
    name: AccountName
    is_admin: bool
    created_at: Timestamp


@dataclass(frozen=True, slots=True)
class Caller:
    """The account behind a request, or nobody."""

    account: Account | None

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody is known to ask."""
        return self.account is None

    @property
    def is_admin(self) -> bool:
        """Whether everything is allowed."""
        return self.account is not None and self.account.is_admin

    def is_account(self, account: AccountID) -> bool:
        """Whether this very account asks."""
        return self.account is not None and self.account.id == account


ANONYMOUS = Caller(None)
