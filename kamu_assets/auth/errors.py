"""How asking "who are you" fails."""

from kamu_assets.errors import ConflictError, DeniedError, NotFoundError
from kamu_assets.odf.identity import AccountName


class InvalidTokenError(DeniedError):
    """The token is malformed, unknown or revoked; which one is not told."""

    def __init__(self) -> None:
        super().__init__("authentication token invalid")


class AccountNotFoundError(NotFoundError):
    """No account has this name."""

    def __init__(self, name: AccountName) -> None:
        super().__init__(f"account {name} does not exist")
        self.name = name


class AccountExistsError(ConflictError):
    """The name is taken; letter case does not matter."""

    def __init__(self, name: AccountName) -> None:
        super().__init__(f"account {name} already exists")
        self.name = name
