"""Who follows the outbox, as an operator sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamu_assets.node import open_node
from kamu_assets.settings import load_settings
from tests.support.command_line import Home

REASON = "http://me:hunter2@example.org/ is gone"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A node with two datasets, of which nobody has heard: `flows` only has not looked, `reporter` fails."""
    made = Home(tmp_path)
    for name in ("cities", "rivers"):
        made.ok("new", name, "--root")
        made.ok("add", f"{name}.yaml")
    with open_node(load_settings(tmp_path / "home")) as node, node.database.transaction() as tx:
        node.outbox.register(tx, "flows", "reporter")
        node.outbox.fail(tx, "reporter", REASON)
    return made


def test_consumers_are_listed_with_what_keeps_them(home: Home) -> None:
    flows, reporter = home.json("outbox", "list")

    assert (flows["name"], flows["position"], flows["failures"], flows["nextAttempt"]) == ("flows", 0, 0, None)
    assert flows["pending"] == reporter["pending"] > 0
    assert (reporter["failures"], reporter["error"]) == (1, "http://me:•••@example.org/ is gone")
    assert reporter["nextAttempt"].endswith("Z")
    status = home.run("status", "--json").out
    assert all(f'"{word}"' in status for word in ("flows", "reporter", "nextAttempt"))
    for text in (home.ok("outbox", "list"), status):
        assert "hunter2" not in text


def test_messages_that_wait_are_readable(home: Home) -> None:
    found = home.json("outbox", "show", "reporter")

    assert [each["topic"] for each in found["messages"]] == ["dataset.created"] * 2
    assert [each["body"]["alias"] for each in found["messages"]] == ["kamu/cities", "kamu/rivers"]
    assert len(home.json("outbox", "show", "reporter", "--limit", "1")["messages"]) == 1
    for_people = home.ok("outbox", "show", "reporter")
    assert "2 to go" in for_people
    assert "example.org/ is gone" in for_people
    assert '"kamu/cities"' in for_people


def test_a_parked_consumer_can_be_let_try_again(home: Home) -> None:
    assert "tries again now" in home.ok("outbox", "retry", "reporter")
    assert "is not parked" in home.ok("outbox", "retry", "reporter")

    assert home.json("outbox", "list")[1]["nextAttempt"] is None
    with open_node(load_settings(home.path / "home")) as node:
        assert len(node.outbox.read("reporter")) == 2


@pytest.mark.parametrize("command", ["show", "retry"])
def test_a_consumer_that_is_not_there_is_told_with_those_that_are(home: Home, command: str) -> None:
    assert home.refusal("outbox", command, "nope") == (
        "no consumer of the outbox is called 'nope'; there are flows, reporter"
    )


def test_a_home_where_nothing_ran_has_no_consumers(tmp_path: Path) -> None:
    home = Home(tmp_path)

    assert home.json("outbox", "list") == []
    assert "there are none before the node runs" in home.refusal("outbox", "show", "flows")
