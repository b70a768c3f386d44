"""Accounts and tokens on SQLite and PostgreSQL."""

import multiprocessing
import stat
from pathlib import Path

import pytest
from sqlalchemy import select

from kamu_assets.auth.errors import AccountExistsError, AccountNotFoundError, InvalidTokenError
from kamu_assets.auth.model import ANONYMOUS, Account
from kamu_assets.auth.service import AuthService
from kamu_assets.auth.store import AccountStore, access_tokens, accounts
from kamu_assets.auth.tokens import AccessToken
from kamu_assets.clock import ManualClock, SystemClock
from kamu_assets.database.database import Database
from kamu_assets.odf.identity import AccountID, AccountName
from kamu_assets.odf.timestamp import Timestamp
from tests.contracts.conftest import opened

NOW = Timestamp.parse("2024-01-01T00:00:00Z")
KAMU = "did:odf:fed016b61ed2ab1b63a006b61ed2ab1b63a00b016d65607000000e0821aafbf163e6f"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def auth(database: Database, keys: Path) -> AuthService:
    return AuthService(database, clock=ManualClock(NOW), keys=keys)


def admin_token(auth: AuthService) -> str:
    return auth.admin_token_file.read_text().strip()


def test_the_first_start_makes_the_admin_of_every_kamu_node(auth: AuthService) -> None:
    admin = auth.ensure_admin()

    assert admin == Account(AccountID.parse(KAMU), AccountName("kamu"), is_admin=True, created_at=NOW)
    caller = auth.caller_from_token(admin_token(auth))
    assert caller.account == admin
    assert caller.is_admin
    assert not caller.is_anonymous
    assert auth.admin_caller() == caller
    assert auth.account(AccountName("KAMU")) == admin


def test_the_token_is_private(auth: AuthService, keys: Path) -> None:
    keys.mkdir(mode=0o755)

    auth.ensure_admin()

    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    assert stat.S_IMODE(auth.admin_token_file.stat().st_mode) == 0o600
    assert [path.name for path in keys.iterdir()] == ["admin.token"]


def test_the_database_cannot_give_the_token_away(auth: AuthService, database: Database) -> None:
    auth.ensure_admin()
    token = AccessToken.parse(admin_token(auth))

    with database.reading() as tx:
        (row,) = tx.execute(select(access_tokens)).all()

    assert row.secret_hash == token.secret_hash
    stored = " ".join(map(str, row))
    assert token.secret.hex() not in stored
    assert token.reveal() not in stored


def test_a_second_start_changes_nothing(auth: AuthService) -> None:
    first = auth.ensure_admin()
    token = admin_token(auth)

    assert auth.ensure_admin() == first
    assert admin_token(auth) == token
    assert not auth.caller_from_token(token).is_anonymous


def test_a_start_that_stopped_before_sql_is_finished_by_the_next(
    auth: AuthService, database: Database, keys: Path
) -> None:
    auth.ensure_admin()
    token = admin_token(auth)
    with database.transaction() as tx:
        tx.execute(access_tokens.delete())
        tx.execute(accounts.delete())

    auth.ensure_admin()

    assert admin_token(auth) == token
    assert auth.caller_from_token(token).is_admin


def test_removing_the_file_replaces_the_token(auth: AuthService) -> None:
    auth.ensure_admin()
    old = admin_token(auth)
    auth.admin_token_file.unlink()

    auth.ensure_admin()

    assert auth.caller_from_token(admin_token(auth)).is_admin
    with pytest.raises(InvalidTokenError):
        auth.caller_from_token(old)


@pytest.mark.parametrize("content", [b"", b"ka_nonsense", b"\xff\xfe"])
def test_a_file_without_a_token_is_replaced(auth: AuthService, keys: Path, content: bytes) -> None:
    keys.mkdir()
    auth.admin_token_file.write_bytes(content)

    auth.ensure_admin()

    assert auth.caller_from_token(admin_token(auth)).is_admin
    assert stat.S_IMODE(auth.admin_token_file.stat().st_mode) == 0o600


def start_node(url: str, keys: Path) -> None:
    with opened(url) as database:
        AuthService(database, clock=SystemClock(), keys=keys).ensure_admin()


def test_processes_that_start_at_once_agree(
    auth: AuthService, database: Database, migrated_url: str, keys: Path
) -> None:
    context = multiprocessing.get_context("forkserver")
    processes = [context.Process(target=start_node, args=(migrated_url, keys)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert auth.caller_from_token(admin_token(auth)).is_admin
    with database.reading() as tx:
        assert len(tx.execute(select(access_tokens)).all()) == 1
        assert AccountStore().count(tx) == 1


def test_without_a_token_nobody_asks(auth: AuthService) -> None:
    assert auth.caller_from_token(None) is ANONYMOUS
    assert ANONYMOUS.is_anonymous
    assert not ANONYMOUS.is_admin


@pytest.mark.parametrize("token", ["", "nonsense", "ka_", "Bearer x"])
def test_a_malformed_token_is_refused(auth: AuthService, token: str) -> None:
    with pytest.raises(InvalidTokenError):
        auth.caller_from_token(token)


def test_an_unknown_token_is_refused(auth: AuthService) -> None:
    auth.ensure_admin()

    with pytest.raises(InvalidTokenError):
        auth.caller_from_token(AccessToken.generate().reveal())


def test_a_known_id_with_another_secret_is_refused(auth: AuthService) -> None:
    auth.ensure_admin()
    token = AccessToken.parse(admin_token(auth))

    with pytest.raises(InvalidTokenError):
        auth.caller_from_token(AccessToken(token.id, bytes(16)).reveal())


def test_names_of_accounts_differ_by_more_than_case(database: Database) -> None:
    store = AccountStore()
    foo = Account(AccountID.seeded(b"Foo"), AccountName("Foo"), is_admin=False, created_at=NOW)
    twin = Account(AccountID.seeded(b"foo"), AccountName("foo"), is_admin=False, created_at=NOW)

    with database.transaction() as tx:
        store.add(tx, foo)
    with pytest.raises(AccountExistsError), database.transaction() as tx:
        store.add(tx, twin)

    with database.reading() as tx:
        assert store.get(tx, AccountName("FOO")) == foo
        assert str(store.get(tx, AccountName("FOO")).name) == "Foo"
        assert store.find(tx, foo.id) == foo
        assert store.find(tx, twin.id) is None


def test_an_unknown_account_is_told(auth: AuthService) -> None:
    with pytest.raises(AccountNotFoundError):
        auth.account(AccountName("nobody"))
