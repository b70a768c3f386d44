from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from kamu_assets.auth.model import ANONYMOUS, Account, Caller
from kamu_assets.database.database import Database
from kamu_assets.database.transaction import Transaction
from kamu_assets.governance.access import Access, Action
from kamu_assets.governance.errors import AccessDeniedError, LoginRequiredError
from kamu_assets.odf.identity import AccountID, AccountName, DatasetAlias
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True)
class Dataset:
    owner: AccountID
    alias: DatasetAlias


def caller(name: str, *, is_admin: bool = False) -> Caller:
    return Caller(Account(AccountID.seeded(name.encode()), AccountName(name), is_admin, Timestamp(0)))


OWNER, OTHER, ADMIN = caller("owner"), caller("other"), caller("kamu", is_admin=True)
DATASET = Dataset(AccountID.seeded(b"owner"), DatasetAlias.parse("owner/data"))


@pytest.fixture
def tx() -> Iterator[Transaction]:
    database = Database.temporary()
    with database.reading() as tx:
        yield tx
    database.close()


@pytest.mark.parametrize("who", [OWNER, OTHER, ADMIN, ANONYMOUS])
def test_everybody_reads(tx: Transaction, who: Caller) -> None:
    Access().require(tx, who, DATASET, Action.READ)


@pytest.mark.parametrize("action", [Action.WRITE, Action.OWN])
@pytest.mark.parametrize("who", [OWNER, ADMIN])
def test_owners_and_admins_do_everything(tx: Transaction, who: Caller, action: Action) -> None:
    Access().require(tx, who, DATASET, action)


@pytest.mark.parametrize("action", [Action.WRITE, Action.OWN])
def test_others_are_refused(tx: Transaction, action: Action) -> None:
    with pytest.raises(AccessDeniedError, match=f"account other may not {action} dataset owner/data"):
        Access().require(tx, OTHER, DATASET, action)

    assert not Access().allows(tx, OTHER, DATASET, action)


@pytest.mark.parametrize("action", [Action.WRITE, Action.OWN])
def test_nobody_is_asked_to_log_in(tx: Transaction, action: Action) -> None:
    with pytest.raises(LoginRequiredError, match="send an access token"):
        Access().require(tx, ANONYMOUS, DATASET, action)


def test_datasets_are_created_in_ones_own_account(tx: Transaction) -> None:
    owner = AccountName("owner")

    Access().require_account(tx, OWNER, DATASET.owner, owner)
    Access().require_account(tx, ADMIN, DATASET.owner, owner)
    with pytest.raises(AccessDeniedError):
        Access().require_account(tx, OTHER, DATASET.owner, owner)
    with pytest.raises(LoginRequiredError):
        Access().require_account(tx, ANONYMOUS, DATASET.owner, owner)
