"""Where the story is played, again and again."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from tests.faults.deaths import Death, killed_after, killed_at, start, told_by
from tests.faults.story import prepare, story, wrong_after


def memory_folder() -> str | None:
    """Where syncing costs nothing, if there is such a place: what would survive is decided here, not by the disk."""
    folder = "/dev/shm"  # noqa: S108 - folders in it get random names
    return folder if os.access(folder, os.W_OK) else None


class Stage:
    """Homes in which the story is played, each once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.home = folder / "home"

    def setting(self) -> None:
        """A fresh home. Always the same path: manifests of the story name it."""
        shutil.rmtree(self.home, ignore_errors=True)
        prepared = self._folder / "prepared"
        if not prepared.exists():
            self.home.mkdir()
            process = start(prepare, self.home)
            process.join()
            assert process.exitcode == 0
            self.home.rename(prepared)
        shutil.copytree(prepared, self.home)

    def killed_at(self, number: int) -> tuple[Death, str | None]:
        """Where the story ended, and what was wrong afterwards."""
        self.setting()
        return killed_at(number, self.home, story), told_by(wrong_after, self.home)

    def killed_after(self, seconds: float) -> tuple[Death, str | None]:
        self.setting()
        return killed_after(seconds, self.home, story), told_by(wrong_after, self.home)

    def play(self) -> tuple[list[str], float]:
        """The fault points of the whole story, and how long it takes."""
        self.setting()
        began = time.monotonic()
        assert killed_at(-1, self.home, story).point is None
        took = time.monotonic() - began
        assert told_by(wrong_after, self.home) is None
        return (self.home / "passed").read_text().splitlines(), took
