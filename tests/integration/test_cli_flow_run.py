"""`kamu-node flow run --type`: what somebody may have done, and how what makes no sense is refused."""

from __future__ import annotations

import pytest

from tests.support.cli_lineage import home_with_lineage
from tests.support.command_line import Home


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Its flows wait for a node to run them."""
    return home_with_lineage(tmp_path_factory.mktemp("asking"))


def test_a_flow_has_its_type_and_its_arguments(home: Home) -> None:
    limits = ("--max-slice-records", "7", "--max-slice-size", "10MiB")
    asked = home.json("flow", "run", "raw", "--type", "compaction", *limits, "--yes")
    home.ok("flow", "run", "raw", "--type", "verify")

    assert (asked["type"], asked["arguments"]) == ("HARD_COMPACTION", {"maxSliceSize": 10 << 20, "maxSliceRecords": 7})
    listed = home.json("flow", "list", "raw", "--type", "compaction")
    assert [row["flowId"] for row in listed] == [asked["flowId"]]


def test_garbage_is_of_the_whole_node(home: Home) -> None:
    asked = home.json("flow", "run", "--type", "gc")

    assert (asked["type"], asked["dataset"]) == ("SYSTEM_GC", "")
    assert "name no dataset" in home.misuse("flow", "run", "raw", "--type", "gc")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("raw", "there is nothing to poll"),
        ("raw --type transform", "Derivative"),
        ("daily --type compaction --yes", "Root"),
        ("raw --type compaction --max-slice-size 0 --yes", "must be a positive number"),
        ("daily --type compaction --yes", "compaction of kamu/daily"),
    ],
)
def test_what_cannot_be_done_is_refused_before_it_waits(home: Home, arguments: str, told: str) -> None:
    assert told in home.refusal("flow", "run", *arguments.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("raw --type compaction", "needs a yes"),
        ("raw --max-slice-size 7", "for --type compaction"),
        ("raw --max-slice-size plenty", "is no size: write 300MB"),
        ("raw --type verify --fetch-uncacheable", "for --type ingest"),
        ("raw --type reset --yes", "--to-seed"),
        ("raw --type verify --to-seed", "for --type reset"),
        ("raw --type reset --block nonsense --yes", "--block"),
    ],
)
def test_what_makes_no_sense_is_misuse(home: Home, arguments: str, told: str) -> None:
    assert told in home.misuse("flow", "run", *arguments.split())


def test_who_rewrites_a_dataset_hears_who_reads_it(home: Home) -> None:
    asked = home.run("flow", "run", "clean", "--type", "reset-to-metadata", "--yes")

    assert "computed from it: kamu/daily, kamu/weekly" in asked.told
    assert "the flow waits until `kamu-node up`" in asked.told
    assert "to drop all rows of 1 dataset(s) needs a yes" in home.misuse(
        "flow", "run", "clean", "--type", "reset-to-metadata"
    )
    assert "Root" in home.refusal("flow", "run", "clean", "--type", "compaction")
    assert "`kamu-node flow list` shows" in home.refusal("flow", "show", "9999")


def test_what_cannot_be_done_to_some_of_a_pattern_is_said_of_each(home: Home) -> None:
    asked = home.run("flow", "run", "%")
    set_ = home.run("trigger", "set", "%", "--reactive", "--recover")

    for done in (asked, set_):
        assert done.code == 0
        assert "kamu/raw is left out" in done.told
        assert "kamu/other is left out" in done.told
    assert {row["dataset"] for row in home.json("trigger", "list")} == {"kamu/clean", "kamu/daily", "kamu/weekly"}
    assert "raw" in home.refusal("trigger", "set", "raw", "--every", "1h")


def test_who_cancels_what_a_trigger_planned_hears_that_it_is_paused(home: Home) -> None:
    home.ok("trigger", "set", "weekly", "--every", "1h")
    (planned, *_) = home.json("flow", "list", "weekly", "--type", "transform")

    canceled = home.run("flow", "cancel", str(planned["flowId"]))
    again = home.run("flow", "cancel", str(planned["flowId"]))

    assert "its trigger is paused; `kamu-node trigger resume kamu/weekly` goes on" in canceled.told
    assert "trigger" not in again.told
