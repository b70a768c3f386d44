"""How asking "may I" fails."""

from kamu_assets.errors import DeniedError
from kamu_assets.odf.identity import AccountName


class LoginRequiredError(DeniedError):
    """Nobody in particular asks for what only accounts may do."""

    def __init__(self, what: str) -> None:
        super().__init__(f"anonymous callers may not {what}: send an access token")


class AccessDeniedError(DeniedError):
    """The account is known and has no right to do this."""

    def __init__(self, account: AccountName, what: str) -> None:
        super().__init__(f"account {account} may not {what}")
        self.account = account
