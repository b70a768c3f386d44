"""What README.md and the pages it leads to name is there: paths, make targets, commands."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from kamu_api.cli.app import app
from tests.support import readme
from tests.support.readme import ROOT

PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "tests/bench/README.md"]
HOUSES = [ROOT, ROOT / "kamu_assets"]
HOUSES_OF_CODE = ["kamu_assets", "kamu_gateway", "kamu_api", "deployment"]


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_is_named_exists(page: str) -> None:
    lines = (ROOT / page).read_text().splitlines()

    assert [path for line in lines for path in missing(readme.named_paths(line))] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_and_every_command_that_is_named_exists(page: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))

    for program, *words in map(str.split, readme.named_commands((ROOT / page).read_text())):
        if program == "make":
            assert {word for word in words if word.islower()} <= targets
        else:
            assert is_command(words), words


def test_every_command_that_our_messages_name_exists() -> None:
    sources = [file for house in HOUSES_OF_CODE for file in (ROOT / house).rglob("*.py")]
    named = {command for file in sources for text in texts(file) for command in readme.named_commands(text)}
    assert len(named) > 20

    assert [
        command for command in named if command.startswith("kamu-node") and not is_command(command.split()[1:])
    ] == []


def test_what_is_not_there_is_missed() -> None:
    line = "`kamu_assets/query/` has `tables/packs.py`, `coffee.py`, `tests/tea/` and [milk](docs/milk.md)"

    assert list(missing(readme.named_paths(line))) == ["docs/milk.md", "coffee.py", "tests/tea/"]
    assert [is_command(words.split()) for words in ("up --detach", "config list", "config brew", "brew")] == [
        True,
        True,
        False,
        False,
    ]


def missing(paths: list[str]) -> Iterator[str]:
    """Short names lie in a folder that the same line names, if it names one, else anywhere."""
    folders = [ROOT / path for path in paths if (ROOT / path).is_dir()]
    for path in paths:
        if not any((house / path).exists() for house in HOUSES + folders) and not (not folders and anywhere(path)):
            yield path


def anywhere(path: str) -> bool:
    """Whether some file of ours has this name, whatever its folder."""
    houses = (folder for folder in ROOT.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    return any(next(house.rglob(Path(path).name), None) for house in houses)


def is_command(words: list[str]) -> bool:
    """Whether the command line knows these words, as far as they are names of commands."""
    command = get_command(app)
    for word in words:
        if not isinstance(command, TyperGroup) or word.startswith("-"):
            return True
        if word not in command.commands:
            return False
        command = command.commands[word]
    return True


def texts(file: Path) -> Iterator[str]:
    """All strings of a module; what is put into them when they are used is left open."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.JoinedStr(values):
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in values)
            case ast.Constant(str(text)):
                yield text
