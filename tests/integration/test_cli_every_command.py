"""Every command as scripts use it: what it answers with `--json`, and how it ends when it cannot."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import typer.main

from kamu_api.cli.app import app
from kamu_assets.node import open_node
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.query.history.store import QueryStore
from kamu_assets.settings import load_settings
from kamu_assets.webhooks.model import SubscriptionStatus
from kamu_assets.webhooks.store import SubscriptionStore
from tests.support.cli_lineage import home_with_lineage
from tests.support.command_line import Home
from tests.support.query_records import a_running_record


@dataclass(frozen=True)
class Use:
    """A command, and words after it: some that it does, some that make no sense, some that cannot be done."""

    name: str
    # What its JSON is.
    answer: type
    does: str
    senseless: str
    impossible: str | None = None
    # Where exit code 1 is the answer.
    code: int = 0


QUERY, UNKNOWN = "01a218c0-3e8f-746b-be1f-8c88c2b8cc8b", "01a218c0-87f4-7ad4-8b94-538ea5c3928a"

# In an order in which all of it can be done, one after the other.
USES = (
    Use("init", dict, "", "more"),
    Use("migrate", dict, "", "more"),
    Use("doctor", list, "--dry-run", "--wet-run"),
    Use("down", dict, "", "more"),
    # No node runs.
    Use("status", dict, "", "more", code=1),
    Use("version", dict, "", "more"),
    Use("config set", dict, "query.workers 1", "query.workers", "query.workers 0"),
    Use("config get", dict, "query.workers", "", "query.worker"),
    Use("config list", list, "query", "query http", "querry"),
    Use("settings", list, "", "query http", "querry"),
    Use("config unset", dict, "query.workers", "", "query.worker"),
    Use("config docs", list, "", "more"),
    Use("new", dict, "made", "", "a_b"),
    Use("add", list, "made.yaml", "", "nope.yaml"),
    Use("adopt", dict, "copy --alias adopted", "", "nope"),
    Use("list", list, "", "-o xml", "nope"),
    Use("ls", list, "%ly", "-o xml", "nope%"),
    Use("show", list, "raw clean", "", "nope"),
    Use("describe", list, "raw", "", "a/b/c"),
    Use("inspect lineage", list, "daily", "-o xml", "nope"),
    Use("inspect query", list, "daily", "", "nope"),
    Use("inspect schema", dict, "raw", "raw -o xml", "nope"),
    Use("log", list, "raw", "raw -f Nonsense", "nope"),
    Use("ingest", list, "raw rows.ndjson", "raw", "raw nope.ndjson"),
    Use("pull", list, "clean", "", "nope"),
    Use("sql", list, "select~1~as~n", "select~1 -o xml", "selec"),
    Use("tail", list, "raw", "%ly", "nope"),
    Use("export", dict, "raw --output-path out.parquet", "", "raw --output-path no/folder"),
    Use("query list", list, "--running", "--state nonsense", "--account nobody"),
    Use("query show", dict, QUERY, "1", UNKNOWN),
    Use("query cancel", dict, QUERY, "1", UNKNOWN),
    Use("verify", list, "raw clean", "", "nope"),
    Use("check", list, "raw clean", "", "nope"),
    Use("compact", list, "raw --yes", "raw", "nope --yes"),
    Use("gc", list, "raw --yes", "raw", "nope --yes"),
    Use("reset", dict, "weekly --to-seed --yes", "weekly", "nope --to-seed --yes"),
    Use("flow run", dict, "daily", "", "nope"),
    Use("flow list", list, "daily", "daily --limit 0", "nope"),
    Use("flow show", dict, "1", "one", "404"),
    Use("flow log", list, "1", "one", "404"),
    Use("flow cancel", dict, "1", "one", "404"),
    Use("flow-config set", dict, "daily --retries 3 --priority 9", "daily --retries -1", "nope --retries 3"),
    Use("flow-config list", list, "", "more"),
    Use("flow-config remove", dict, "daily", "", "nope"),
    Use("process list", list, "--state active", "--state nonsense"),
    Use("trigger set", dict, "daily --every 1h", "daily", "nope --every 1h"),
    Use("trigger list", list, "", "more"),
    Use("trigger pause", dict, "daily", "", "raw"),
    Use("trigger resume", dict, "daily", "", "clean"),
    Use("trigger remove", dict, "daily", "", "clean"),
    Use(
        "webhook create",
        dict,
        "https://nobody.invalid/ --dataset raw --label hook",
        "https://nobody.invalid/",
        "http://nobody.invalid/ --dataset raw",
    ),
    Use("webhook list", list, "", "more", "--dataset nope"),
    Use("webhook show", dict, "hook", "", "nope"),
    Use("webhook update", dict, "hook --url https://nobody.invalid/b", "hook", "nope --label b"),
    Use("webhook pause", dict, "hook", "", "nope"),
    Use("webhook resume", dict, "hook", "", "nope"),
    Use("webhook rotate-secret", dict, "hook", "", "nope"),
    # Nobody is there.
    Use("webhook test", dict, "hook", "", "nope", code=1),
    Use("webhook deliveries", list, "hook", "--limit 0 hook", "nope"),
    Use("webhook reactivate", dict, "stopped", "", "nope"),
    Use("webhook remove", dict, "hook", "", "nope"),
    Use("outbox list", list, "", "more"),
    Use("outbox show", dict, "reporter", "", "nope"),
    Use("outbox retry", dict, "reporter", "", "nope"),
    Use("rename", dict, "other another", "other", "nope b"),
    Use("mv", dict, "another other", "other", "other raw"),
    Use("delete", list, "weekly --yes", "weekly", "raw --yes"),
    Use("rm", list, "other --yes", "other --all", "nope --yes"),
)
# They go on until they are stopped, print texts for programs that have no use for JSON, or are not for people.
OTHERS = {"up", "engine serve", "completions", "webhook receiving", "process prepare", "process api"}
# Settings have their defaults where there is no file of them.
NEED_NO_HOME = {"version", "config docs", "config get", "config list", "config unset", "settings", "new"}


def words(use: Use, text: str) -> list[str]:
    return [*use.name.split(), *(word.replace("~", " ") for word in text.split())]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A node with data that nothing changes."""
    home = home_with_lineage(tmp_path_factory.mktemp("every"))
    home.ok("ingest", "raw", home.write("rows.ndjson", '{"id": 1, "name": "a"}\n'))
    home.ok("webhook", "create", "https://nobody.invalid/", "--all-datasets", "--label", "stopped")
    with open_node(load_settings(home.path / "home")) as node, node.database.transaction() as tx:
        # As a node does that runs.
        node.outbox.register(tx, "reporter")
        # Seen an hour from now: it runs as long as the tests do.
        hour = Timestamp(node.clock.now().ns + 3600 * 10**9)
        QueryStore().save(tx, [a_running_record(id=QUERY, seen_at=hour)])
        [stopped] = SubscriptionStore().all(tx)
        SubscriptionStore().save(tx, replace(stopped, status=SubscriptionStatus.UNREACHABLE))
    return home


def commands() -> Iterator[str]:
    waiting: list[tuple[str, Any]] = [("", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        below = getattr(command, "commands", {})
        waiting += [(f"{name} {each}".strip(), found) for each, found in below.items()]
        if not below:
            yield name


def test_no_command_is_left_out() -> None:
    assert {use.name for use in USES} | OTHERS == set(commands())


def test_every_command_answers_with_one_json_document_and_nothing_else(source: Home, tmp_path: Path) -> None:
    shutil.copytree(source.path, tmp_path / "node")
    home = Home(tmp_path / "node")
    made = Home(tmp_path / "elsewhere")
    made.path.mkdir()
    made.ok("new", "copied")
    made.ok("add", "copied.yaml")
    shutil.copytree(made.json("show", "copied")[0]["location"], home.path / "copy")

    for use in USES:
        done = home.run(*words(use, use.does), "--json")

        assert done.code == use.code, (use, done)
        # One line each, so that several make ND-JSON.
        assert done.out.count("\n") == 1, (use, done)
        assert isinstance(json.loads(done.out), use.answer), (use, done)
        assert "error" not in done.told, (use, done)


@pytest.mark.parametrize("as_json", [False, True], ids=["people", "scripts"])
@pytest.mark.parametrize("use", USES, ids=lambda use: use.name)
def test_what_makes_no_sense_has_a_code_of_its_own(source: Home, use: Use, *, as_json: bool) -> None:
    done = source.run(*words(use, use.senseless), *(["--json"] if as_json else []))

    assert (done.code, done.out) == (2, ""), done
    assert done.told.startswith(("error: ", "Usage: ")), done


@pytest.mark.parametrize("as_json", [False, True], ids=["people", "scripts"])
@pytest.mark.parametrize("use", [use for use in USES if use.impossible is not None], ids=lambda use: use.name)
def test_what_cannot_be_done_is_told_in_one_line(source: Home, use: Use, *, as_json: bool) -> None:
    done = source.run(*words(use, use.impossible or ""), *(["--json"] if as_json else []))

    assert done.code == 1, done
    assert "Traceback" not in done.told
    assert "bug" not in done.told
    if done.out and as_json:
        # Rows that say what became of each.
        rows = json.loads(done.out)
        assert not rows or {row["result"] for row in rows} == {"failed"}
    else:
        assert done.out in ("", "Nothing was added\n"), done
        assert done.told.startswith("error: "), done
        assert done.told.count("\n") == 1, done


@pytest.mark.parametrize("use", [use for use in USES if use.name not in NEED_NO_HOME], ids=lambda use: use.name)
def test_a_home_that_cannot_be_one_is_told_in_one_line(source: Home, tmp_path: Path, use: Use) -> None:
    home = Home(tmp_path)
    home.write("home", "a file, not a folder")
    home.write("rows.ndjson", '{"id": 1, "name": "a"}\n')
    home.write("made.yaml", (source.path / "all.yaml").read_text())

    done = home.run(*words(use, use.does))

    assert done.code == 1, done
    assert "bug" not in done.told, done
    assert done.told.startswith("error: ") or use.name == "status", done
    assert done.told.count("\n") <= 1, done
    assert (tmp_path / "home").read_text() == "a file, not a folder"


def test_a_node_in_front_has_no_json(source: Home) -> None:
    assert source.misuse("up", "--json") == "--json goes with --detach: a node that stays in front prints its log"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("push raw --to x", "kamu has a command 'push', this node has none"),
        ("system api-server", "says how the node is, `kamu-node up` starts it, `kamu-node compact` compacts"),
        ("--yes search x", "this node has none: `kamu-node list %word%` finds datasets by their names"),
    ],
)
def test_what_only_kamu_has_is_told(source: Home, typed: str, told: str) -> None:
    assert source.misuse(*typed.split()).endswith(told)


@pytest.mark.parametrize("width", ["1", "20", "40"])
def test_narrow_terminals_are_no_reason_to_fail(source: Home, monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    monkeypatch.setattr(Home, "COLUMNS", width)
    for command in ("list", "show raw", "config list", "log raw", "inspect lineage", "trigger list", "--help"):
        done = source.run(*command.split())
        assert done.code == 0, done
