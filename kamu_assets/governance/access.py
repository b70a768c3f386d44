"""What callers may do: everybody reads, the owner and admins do everything."""

from enum import StrEnum
from typing import Protocol

from kamu_assets.auth.model import Caller
from kamu_assets.database.transaction import Transaction
from kamu_assets.governance.errors import AccessDeniedError, LoginRequiredError
from kamu_assets.odf.identity import AccountID, AccountName, DatasetAlias


class Action(StrEnum):
    """What is done to a dataset."""

    READ = "read"
    WRITE = "write to"
    # Replace what is there: compact, reset, run flows.
    MAINTAIN = "maintain"
    # Rename, delete, change settings, decide who else may do what.
    OWN = "manage"


class Owned(Protocol):
    """A dataset as far as permissions go."""

    @property
    def owner(self) -> AccountID:
        """Whose it is."""
        ...

    @property
    def alias(self) -> DatasetAlias:
        """How it is called."""
        ...


class Access:
    """Decides; services ask, doors never do."""

    def require(self, tx: Transaction, caller: Caller, dataset: Owned, action: Action) -> None:
        """Raise LoginRequiredError or AccessDeniedError unless the caller may do this."""
        if not self.allows(tx, caller, dataset, action):
            raise _refusal(caller, f"{action} dataset {dataset.alias}")

    def allows(self, tx: Transaction, caller: Caller, dataset: Owned, action: Action) -> bool:  # noqa: ARG002 - see below
        """Whether the caller may do this, as of `tx`, which relations between accounts and datasets will be read in."""
        return action is Action.READ or caller.is_admin or caller.is_account(dataset.owner)

    def require_admin(self, caller: Caller, what: str) -> None:
        """Raise unless the caller may do what concerns the node as a whole."""
        if not caller.is_admin:
            raise _refusal(caller, what)

    def require_account(self, tx: Transaction, caller: Caller, account: AccountID, name: AccountName) -> None:  # noqa: ARG002 - as above
        """Raise unless the caller may create datasets in this account."""
        if not caller.is_admin and not caller.is_account(account):
            raise _refusal(caller, f"create datasets in account {name}")


def _refusal(caller: Caller, what: str) -> LoginRequiredError | AccessDeniedError:
    if caller.account is None:
        return LoginRequiredError(what)
    return AccessDeniedError(caller.account.name, what)
