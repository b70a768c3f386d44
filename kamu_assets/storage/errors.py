"""How storage fails."""

from pathlib import Path

from kamu_assets.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash


class InvalidKeyError(InvalidError):
    """The text cannot name an object."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key[:200]!r} cannot name an object: {reason}")
        self.key = key


class ObjectNotFoundError(NotFoundError):
    """No object has this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no object {key!r}")
        self.key = key


class PreconditionFailedError(ConflictError):
    """Somebody else wrote the object first."""

    def __init__(self, key: str) -> None:
        super().__init__(f"object {key!r} has changed or exists already")
        self.key = key


class StorageUnavailableError(UnavailableError):
    """The store cannot be read or written now."""


class StorageFullError(StorageUnavailableError):
    """There is no room for more."""

    def __init__(self, folder: Path | str) -> None:
        super().__init__(f"no space left for {folder}: free some and repeat")
        self.folder = str(folder)


class DamagedBlockError(UnavailableError):
    """The stored bytes of a block are not the ones its hash names."""

    def __init__(self, dataset: DatasetID, block: Multihash, actual: Multihash) -> None:
        super().__init__(f"block {block} of {dataset} is damaged: its bytes hash to {actual}")
        self.dataset = dataset
        self.block = block
        self.actual = actual
