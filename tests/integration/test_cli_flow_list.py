"""`kamu-node flow list`: which flows it shows, and how to see the others."""

from __future__ import annotations

import pytest

from tests.support.cli_lineage import home_with_lineage
from tests.support.command_line import Home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Of its three flows the second was cancelled; no node runs them."""
    home = home_with_lineage(tmp_path_factory.mktemp("listed"))
    flows = [
        home.json("flow", "run", *words)["flowId"] for words in (("raw", "--type", "verify"), ("clean",), ("daily",))
    ]
    assert flows == [1, 2, 3]
    assert home.json("flow", "cancel", "2")["outcome"]["kind"] == "ABORTED"
    return home


def shown(home: Home, *arguments: str) -> list[int]:
    return [row["flowId"] for row in home.json("flow", "list", *arguments)]


def test_flows_are_listed_by_state_type_and_who_asked(home: Home) -> None:
    assert shown(home) == [3, 2, 1]
    assert shown(home, "--status", "finished") == [2]
    assert shown(home, "--status", "waiting", "--status", "retrying") == [3, 1]
    assert shown(home, "--type", "transform") == [3, 2]
    assert shown(home, "--outcome", "aborted", "--outcome", "failed") == [2]
    # As JSON has them.
    assert shown(home, "--type", "EXECUTE_TRANSFORM", "--status", "FINISHED", "--outcome", "ABORTED") == [2]
    assert shown(home, "daily", "--type", "transform", "--type", "ingest") == [3]
    assert shown(home, "--by", "kamu") == [3, 2, 1]
    assert shown(home, "--by-itself") == []
    assert shown(home, "--by-itself", "--by", "kamu", "--status", "running") == []
    assert shown(home, "--order", "queue") == [3, 1, 2]
    assert shown(home, "--order", "scheduled", "--skip", "1") == [3, 2]
    assert "--skip is for all" in home.misuse("flow", "list", "--order", "queue", "--before", "2")
    assert "3 flows; further ones: --skip 2" in home.run("flow", "list", "--order", "queue", "--limit", "2").told


def test_a_page_says_how_many_there_are_and_how_to_see_more(home: Home) -> None:
    first = home.run("flow", "list", "--limit", "2")
    second = home.run("flow", "list", "--limit", "2", "--before", "2")
    behind = home.run("flow", "list", "--before", "1")

    assert "3 flows; further ones: --before 2" in first.told
    assert (second.code, "further" in second.told) == (0, False)
    assert "3 flows, none before 1" in behind.told
    assert "no flows of this kind" in home.run("flow", "list", "--outcome", "failed").told
    assert shown(home, "--limit", "2", "--before", "2") == [1]


def test_who_asks_for_what_is_not_there_is_told(home: Home) -> None:
    stranger = home.run("flow", "list", "--by", "nobody-of-this-name")
    state = home.run("flow", "list", "--status", "sleeping")

    assert stranger.code == 1
    assert "nobody-of-this-name" in stranger.told
    assert state.code == 2
