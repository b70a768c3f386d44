"""How asking "who are you" fails."""

from pathlib import Path

from kamu_assets.errors import ConflictError, DeniedError, InvalidError, NotFoundError, UnavailableError
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


class InvalidPrivateKeyError(InvalidError):
    """The text is no private key; it is not repeated, since it may nearly be one."""

    def __init__(self) -> None:
        super().__init__(
            "a private key is 32 bytes of Ed25519 in multibase: f and 64 hexadecimal digits, or base z or u"
        )


class DamagedKeyError(UnavailableError):
    """The node's key cannot be read. A new one would be another node, so none is made."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} does not hold the key of this node: restore it from a backup,"
            " or remove it to let the node make a new one, which does not open the secrets of webhooks:"
            " each of them then needs `kamu-node webhook rotate-secret`"
        )
        self.path = path
