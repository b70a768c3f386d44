"""Secrets in files that only their owner can read."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kamu_assets.auth.errors import InvalidTokenError
from kamu_assets.auth.tokens import AccessToken
from kamu_assets.storage.files import locked_folder, pending_path, sync_folder, told_plainly

PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


@contextlib.contextmanager
def private_folder(folder: Path) -> Iterator[None]:
    """Be alone, among all processes, in a folder that is closed to other users."""
    with told_plainly(folder):
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        if stat.S_IMODE(folder.stat().st_mode) != PRIVATE_FOLDER:
            folder.chmod(PRIVATE_FOLDER)
        with locked_folder(folder):
            yield


def read_token(path: Path) -> AccessToken | None:
    """The token in a file, if there is one."""
    with contextlib.suppress(FileNotFoundError, InvalidTokenError, UnicodeDecodeError):
        return AccessToken.parse(path.read_text(encoding="ascii").strip())
    return None


def write_token(path: Path, token: AccessToken) -> None:
    """Write a token durably, whole or not at all."""
    write_private(path, token.reveal())


def write_private(path: Path, text: str) -> None:
    """The same for any line of ASCII."""
    pending = pending_path(path.parent)
    descriptor = os.open(pending, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        pending.replace(path)
    finally:
        pending.unlink(missing_ok=True)
    sync_folder(path.parent)
