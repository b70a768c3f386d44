"""The commands that README.md shows, and a checkout to execute them in that is nobody's."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
_CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`((?:make|kamu-node) [^`]+)`")
_LINK = re.compile(r"\]\(([^)#]+)\)")
_PATH = re.compile(r"(?<![\w/.~:$-])((?:[\w-]+/)+(?:[\w-]+\.(?:py|md|toml|yaml))?|[\w-]+\.(?:py|toml|md))(?![\w/])")


def make_commands(text: str) -> list[str]:
    """The indented commands, without their comments."""
    lines = re.findall(r"^    (make [^\n]+)", text, re.MULTILINE)
    return [line.partition("#")[0].strip() for line in lines]


@dataclass(frozen=True)
class Session:
    """A block of the text that shows what to type, and perhaps what is answered."""

    lines: tuple[str, ...]

    @property
    def commands(self) -> list[str]:
        """What follows a prompt."""
        return [line[2:] for line in self.lines if line.startswith("$ ")]

    @property
    def answers(self) -> list[str]:
        """All that does not, without the spaces at the ends."""
        return [line.rstrip() for line in self.lines if not line.startswith("$ ")]


def sessions(text: str) -> list[Session]:
    """All blocks with prompts, in their order."""
    return [Session(tuple(block.splitlines())) for block in _CONSOLE.findall(text)]


def named_commands(text: str) -> list[str]:
    """Commands in running text."""
    return _SPAN.findall(text)


def named_paths(line: str) -> list[str]:
    """What is linked to within the tree, and all that is a path by its look."""
    links = [link for link in _LINK.findall(line) if "://" not in link]
    return list(dict.fromkeys([*links, *_PATH.findall(line)]))


def checkout(target: Path) -> Path:
    """A copy of this one as it is now, without what git ignores, over the same packages."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for file in filter(None, files):
        if (ROOT / file).is_file():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, target / file)
    _link_environment(target)
    return target


def _link_environment(target: Path) -> None:
    """An environment of its own to make, whose content is ours: `make` finds it complete and leaves it alone."""
    (target / ".venv").mkdir()
    for part in (ROOT / ".venv").iterdir():
        if part.name != ".ready":
            (target / ".venv" / part.name).symlink_to(part)
    (target / ".venv" / ".ready").touch()
