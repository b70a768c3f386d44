"""The command line on a home of its own, in this process."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import structlog

from kamu_api.cli.main import main

# As a process of its own.
PROGRAM = (sys.executable, "-m", "kamu_api.cli.main")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    told: str


@contextlib.contextmanager
def logging_untouched() -> Iterator[None]:
    """Commands set logging up for their process; ours goes on."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers, root.level
    yield
    structlog.configure(**before)
    root.handlers = handlers
    root.setLevel(level)


@dataclass
class Home:
    """A node's home and a folder for files."""

    path: Path
    # Of the home, in that folder.
    name: str = "home"
    COLUMNS: ClassVar[str] = "200"

    def run(self, *arguments: str, stdin: bytes = b"") -> Done:
        """What the program `kamu-node` does, without the time that starting one takes."""
        out, told = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
            patch.setenv("KAMU_NODE_HOME", str(self.path / self.name))
            patch.setenv("COLUMNS", self.COLUMNS)
            patch.chdir(self.path)
            patch.setattr(sys, "argv", ["kamu-node", *arguments])
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            with pytest.raises(SystemExit) as end, logging_untouched():
                main()
        return Done(int(end.value.code or 0), out.getvalue(), told.getvalue())

    def copy_to(self, path: Path) -> Home:
        """The same in another folder: making a home anew takes longer than most of what is tried there."""
        shutil.copytree(self.path, path, dirs_exist_ok=True)
        return Home(path, self.name)

    def ok(self, *arguments: str, stdin: bytes = b"") -> str:
        done = self.run(*arguments, stdin=stdin)
        assert done.code == 0, done
        return done.out

    def json(self, *arguments: str, stdin: bytes = b"") -> Any:
        return json.loads(self.ok(*arguments, "--json", stdin=stdin))

    def misuse(self, *arguments: str, stdin: bytes = b"") -> str:
        """The same of a command that makes no sense: exit code 2."""
        return self.refusal(*arguments, stdin=stdin, code=2)

    def refusal(self, *arguments: str, stdin: bytes = b"", code: int = 1) -> str:
        """What is said on standard error: one line, and exit code 1."""
        done = self.run(*arguments, stdin=stdin)
        assert done.code == code, done
        assert done.told.startswith("error: ")
        assert done.told.count("\n") == 1, done.told
        return done.told.removeprefix("error: ").rstrip()

    def write(self, name: str, text: str | bytes) -> str:
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)
