"""What holds for many commands: patterns, exit codes, `--json`, completion."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from kamu_api.cli.app import app
from tests.support.cli_lineage import home_with_lineage
from tests.support.command_line import Home

# It runs until it is stopped, and a text for other programs.
NO_JSON = {"process prepare", "process api", "completions", "webhook receiving"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = home_with_lineage(tmp_path_factory.mktemp("patterns"))
    home.ok("ingest", "raw", home.write("rows.ndjson", '{"id": 1, "name": "a"}\n'))
    return home


def pulled(home: Home, *arguments: str) -> list[str]:
    return [row["dataset"] for row in home.json("pull", *arguments)]


def test_what_a_dataset_is_computed_from_is_pulled_first(home: Home) -> None:
    assert pulled(home, "--recursive", "daily") == ["kamu/raw", "kamu/clean", "kamu/daily"]
    assert home.json("sql", "select id from daily") == [{"id": 1}]
    assert sorted(pulled(home, "-r", "%ly")) == ["kamu/clean", "kamu/daily", "kamu/raw", "kamu/weekly"]


def test_patterns_pull_inputs_first(home: Home) -> None:
    assert pulled(home, "kamu/%") == pulled(home, "--all")
    order = pulled(home, "w%", "%a%")
    assert sorted(order) == ["kamu/clean", "kamu/daily", "kamu/raw", "kamu/weekly"]
    assert order.index("kamu/raw") < order.index("kamu/clean") < order.index("kamu/weekly")
    # clean, which is not named, lies between them.
    assert pulled(home, "weekly", "raw") == ["kamu/raw", "kamu/weekly"]


def test_lists_of_some(home: Home) -> None:
    assert [row["name"] for row in home.json("list", "%ly", "kamu/raw")] == ["daily", "raw", "weekly"]
    assert home.refusal("list", "none%").startswith("no dataset matches 'none%'; ")


def test_triggers_of_many_datasets(home: Home) -> None:
    rows = home.json("trigger", "set", "%ly", "--every", "1h")

    assert [(row["dataset"], row["rule"]) for row in rows] == [("kamu/daily", "every 1h"), ("kamu/weekly", "every 1h")]
    assert home.ok("trigger", "pause", "%").splitlines() == [
        # It has none, and follows its inputs.
        "kamu/clean: when inputs change, paused",
        "kamu/daily: every 1h, paused",
        "kamu/weekly: every 1h, paused",
    ]
    assert [row["paused"] for row in home.json("trigger", "list")] == [True, True, True]
    assert home.ok("trigger", "remove", "clean") == "kamu/clean: no trigger any more\n"
    assert home.ok("trigger", "remove", "w%") == "kamu/weekly: no trigger any more\n"
    assert home.json("trigger", "remove", "d%") == [{"dataset": "kamu/daily", "result": "removed"}]
    assert "has no trigger" in home.refusal("trigger", "remove", "d%")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("pull",), 2, "name datasets, or use --all"),
        (("pull", "raw", "--all"), 2, "name datasets, or use --all"),
        (("pull", "raw", "-r", "--set-watermark", "2024-01-01T00:00:00Z"), 2, "not for --all or --recursive"),
        (("pull", "none%"), 1, "no dataset matches 'none%'; `kamu-node list` shows what there is"),
        (("pull", "raw", "a_%"), 1, "is not a valid dataset name pattern"),
        (("pull", "raw", "--every"), 2, "No such option"),
        (("ingest", "raw"), 2, "name files, or use --stdin"),
        (("tail", "%ly"), 2, "'%ly' matches kamu/daily, kamu/weekly: this command takes one dataset"),
        (("frobnicate",), 2, "No such command"),
        (("verify",), 2, "Missing argument"),
    ],
)
def test_exit_codes_tell_misuse_from_failure(home: Home, arguments: tuple[str, ...], code: int, told: str) -> None:
    done = home.run(*arguments)

    assert (done.code, told in done.told) == (code, True), done


def commands() -> Iterator[tuple[str, Any]]:
    """Every command, with the words that start it."""
    waiting = [("", typer.main.get_command(app))]
    while waiting:
        words, command = waiting.pop()
        below = getattr(command, "commands", {})
        waiting += [(f"{words} {name}".strip(), each) for name, each in below.items()]
        if not below:
            yield words, command


def test_every_help_tells_the_exit_codes() -> None:
    for words, command in commands():
        assert (command.epilog or "").startswith("Exit codes: 0 "), words


def test_every_command_answers_scripts() -> None:
    found = {words for words, command in commands() if any("--json" in each.opts for each in command.params)}

    assert {words for words, _ in commands()} - found <= NO_JSON
    assert {"pull", "show", "trigger set", "inspect lineage"} <= found


def completed(home: Home, *words: str) -> list[str]:
    """What the shell offers for the last of the words."""
    environment = {
        **os.environ,
        "KAMU_NODE_HOME": str(home.path / "home"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "_KAMU_NODE_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(("kamu-node", *words)),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(["kamu-node"], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout.split()


def test_names_of_datasets_are_completed(home: Home) -> None:
    assert completed(home, "log", "da") == ["daily"]
    assert sorted(completed(home, "delete", "raw", "kamu/")) == [
        f"kamu/{name}" for name in ("clean", "daily", "other", "raw", "weekly")
    ]
    assert completed(home, "inspect", "lineage", "we") == ["weekly"]
    assert completed(home, "renam") == ["rename"]


def test_completion_makes_no_home_and_no_noise(home: Home, tmp_path: Path) -> None:
    nowhere = Home(tmp_path)
    assert completed(nowhere, "show", "") == []
    assert not (tmp_path / "home").exists()
    nowhere.write("home/node.yaml", "http: [")
    assert completed(nowhere, "show", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_read_by_their_shells(home: Home, tmp_path: Path, shell: str) -> None:
    script = tmp_path / "script"
    script.write_text(home.ok("completions", shell))

    assert "_KAMU_NODE_COMPLETE" in script.read_text()
    if shutil.which(shell):
        subprocess.run([shell, "-n", str(script)], check=True)
    assert home.run("completions", "tcsh").code == 2


def test_bash_completes_with_the_script(home: Home, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(home.ok("completions", "bash"))
    typed = "COMP_WORDS=(kamu-node show cl); COMP_CWORD=2"
    ask = f'source "$0"; {typed}; _kamu_node_completion kamu-node cl; echo ${{COMPREPLY[@]}}'
    environment = {
        **os.environ,
        "KAMU_NODE_HOME": str(home.path / "home"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    done = subprocess.run(["bash", "-c", ask, str(script)], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["clean"]
