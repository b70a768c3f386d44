"""Who runs the node of a home."""

import fcntl
import os
from pathlib import Path

from kamu_assets.errors import ConflictError


class NodeRunningError(ConflictError):
    def __init__(self, home: Path, pid: str) -> None:
        super().__init__(f"the node in {home} is already running (process {pid}); stop it with `kamu-node down`")


class OtherVersionRunsError(ConflictError):
    def __init__(self, home: Path, pid: int) -> None:
        super().__init__(
            f"the node that runs in {home} (process {pid}) is of another version than this command, and so is its"
            " database: stop it with `kamu-node down` first"
        )


class HomeLock:
    """One running node per home. Released by the kernel when the process ends, however it ends."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._path = home / "run" / "node.pid"

    def acquire(self) -> None:
        """Raise `NodeRunningError` if another process holds the home."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise NodeRunningError(self._home, os.read(descriptor, 20).decode()) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor

    def owner(self) -> int | None:
        """The process that runs the node, or None."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            # Shared: commands that ask at once are not taken for the node.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return int(os.pread(descriptor, 20, 0) or b"0") or None
        else:
            return None
        finally:
            os.close(descriptor)
