"""Messages, help and comments name commands that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import kamu_api
from kamu_api.cli.app import app

ROOT = Path(kamu_api.__file__).parents[1]
PACKAGES = ("kamu_api", "kamu_assets", "kamu_gateway", "deployment")
# As people are told to type them: in backticks, words before the first option or argument.
NAMED = re.compile(r"`kamu-node ((?:[a-z]+(?:[ `]|$))+)")


def named() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for words in NAMED.findall(path.read_text(encoding="utf-8")):
                yield str(path.relative_to(ROOT)), words.strip(" `")


def exists(words: list[str]) -> bool:
    """Whether the words lead to a command; those that follow it are its arguments."""
    command: Any = get_command(app)
    for word in words:
        if not hasattr(command, "commands"):
            return True
        if word not in command.commands:
            return False
        command = command.commands[word]
    return True


def test_every_command_that_is_named_exists() -> None:
    assert [(path, words) for path, words in named() if not exists(words.split())] == []


@pytest.mark.parametrize("words", ["preferences", "config sett"])
def test_commands_that_do_not_exist_are_noticed(words: str) -> None:
    assert exists(["config", "list"])
    assert not exists(words.split())
