"""Who is asking."""

from pathlib import Path

import structlog

from kamu_assets.auth.errors import InvalidTokenError
from kamu_assets.auth.model import ANONYMOUS, Account, Caller
from kamu_assets.auth.store import AccountStore, TokenStore
from kamu_assets.auth.token_file import private_folder, read_token, write_token
from kamu_assets.auth.tokens import AccessToken
from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.odf.identity import AccountID, AccountName

log = structlog.get_logger(__name__)

ADMIN = AccountName("kamu")
ADMIN_TOKEN = "admin"  # noqa: S105 - its name
ADMIN_TOKEN_FILE = "admin.token"  # noqa: S105 - its file


class AuthService:
    """Accounts and the tokens that stand for them."""

    def __init__(self, database: Database, *, clock: Clock, keys: Path) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys
        self._accounts = AccountStore()
        self._tokens = TokenStore()

    @property
    def admin_token_file(self) -> Path:
        """Where the operator finds the admin's token."""
        return self._keys / ADMIN_TOKEN_FILE

    def ensure_admin(self) -> Account:
        """Make the admin and a token on first start; harmless later, and when two processes start at once.

        The file is written first: a token that SQL does not know, because we stopped in between or SQL was lost,
        is accepted again. Removing the file and starting the node makes a new token and revokes the old one.
        """
        with private_folder(self._keys):
            token = read_token(self.admin_token_file)
            if token is None:
                self._revoke_admin_tokens()
                token = AccessToken.generate()
                write_token(self.admin_token_file, token)
                log.info("admin_token_created", file=str(self.admin_token_file))
            return self._register_admin(token)

    def caller_from_token(self, token: str | None) -> Caller:
        """The account a token stands for, nobody without one; InvalidTokenError."""
        if token is None:
            return ANONYMOUS
        given = AccessToken.parse(token)
        with self._database.reading() as tx:
            stored = self._tokens.find(tx, given)
        if stored is None or not given.matches(stored.secret_hash) or stored.is_revoked:
            raise InvalidTokenError
        return Caller(stored.account)

    def admin_caller(self) -> Caller:
        """Whoever can read the node's home: commands on the machine itself."""
        with self._database.reading() as tx:
            return Caller(self._accounts.get(tx, ADMIN))

    def account(self, name: AccountName) -> Account:
        """The account of this name; AccountNotFoundError."""
        with self._database.reading() as tx:
            return self._accounts.get(tx, name)

    def known_as(self, account: AccountID) -> AccountName | None:
        """The name of an account, as long as there is one."""
        with self._database.reading() as tx:
            found = self._accounts.find(tx, account)
        return None if found is None else found.name

    def _revoke_admin_tokens(self) -> None:
        with self._database.transaction() as tx:
            self._tokens.revoke(tx, _admin_id(), name=ADMIN_TOKEN, now=self._clock.now())

    def _register_admin(self, token: AccessToken) -> Account:
        now = self._clock.now()
        with self._database.transaction() as tx:
            self._accounts.ensure(tx, Account(_admin_id(), ADMIN, is_admin=True, created_at=now))
            admin = self._accounts.get(tx, ADMIN)
            self._tokens.ensure(tx, token, admin.id, name=ADMIN_TOKEN, now=now)
            return admin


def _admin_id() -> AccountID:
    """The identity every kamu node gives to this name."""
    return AccountID.seeded(str(ADMIN).encode())
