"""Small texts of the command line."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from kamu_api.cli.app import app
from kamu_api.cli.flows.trigger_text import parse_interval
from kamu_api.cli.node.startup import PortTakenError
from kamu_api.cli.output import size_text, time_text
from kamu_assets.errors import InvalidError
from kamu_assets.flows.triggers.text import interval_text


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("1h", 3600), ("1d12h", 129_600), ("2w", 1_209_600), ("0s", 0)]
)
def test_intervals_are_read(text: str, seconds: int) -> None:
    assert parse_interval(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "h", "1h ", "1 h", "-1h", "1.5h", "1y", "1h30", "٣h", "9999999999s"])
def test_other_texts_are_no_intervals(text: str) -> None:
    with pytest.raises(InvalidError, match="is not an interval"):
        parse_interval(text)


@given(st.integers(min_value=0, max_value=10**8))
def test_an_interval_is_read_as_it_was_written(seconds: int) -> None:
    assert parse_interval(interval_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 20, "5.0 MiB"), (3 << 50, "3072.0 TiB")]
)
def test_sizes_are_told_in_the_largest_unit_that_fits(size: int, text: str) -> None:
    assert size_text(size) == text


def test_times_are_told_to_the_second() -> None:
    assert time_text("2024-01-02T03:04:05.678901234Z") == "2024-01-02 03:04:05"
    assert time_text("2024-01-02T03:04:05Z") == "2024-01-02 03:04:05"
    assert time_text(None) == ""


@pytest.mark.parametrize(
    ("command", "default"), [("list", "~/.kamu-node"), ("ingest", "now"), ("sql", "standard input"), ("adopt", "alias")]
)
def test_help_tells_defaults(command: str, default: str) -> None:
    said = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).output
    assert re.search(rf"default: .*{re.escape(default)}", said), said


def test_a_taken_port_is_told_with_the_ways_to_another() -> None:
    told = str(PortTakenError("dagster.webserver_port", "127.0.0.1", 3000))
    assert "KAMU_NODE__DAGSTER__WEBSERVER_PORT" in told
    assert "`dagster.webserver_port`" in told
