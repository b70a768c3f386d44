"""The commands that README.md shows, and a checkout to execute them in that is nobody's."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
_CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
_YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`((?:make|kamu-node) [^`]+)`")


def make_commands(text: str) -> list[str]:
    """The indented commands, without their comments."""
    lines = re.findall(r"^    (make [^\n]+)", text, re.MULTILINE)
    return [line.partition("#")[0].strip() for line in lines]


def console_commands(text: str) -> list[str]:
    """What follows a prompt, over all blocks."""
    return [line[2:] for block in _CONSOLE.findall(text) for line in block.splitlines() if line.startswith("$ ")]


def console_answers(text: str) -> list[str]:
    """What the blocks show as answers, line by line, without the spaces at the ends."""
    lines = [line for block in _CONSOLE.findall(text) for line in block.splitlines()]
    return [line.rstrip() for line in lines if not line.startswith("$ ")]


def manifests(text: str) -> list[str]:
    """The YAML that is shown."""
    return _YAML.findall(text)


def named_commands(text: str) -> list[str]:
    """Commands in running text."""
    return _SPAN.findall(text)


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
