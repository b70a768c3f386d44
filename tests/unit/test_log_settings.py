"""How the node logs, and what it knows to be secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from kamu_assets.settings import SettingsError, begin_logging, load_settings, secret_values


@pytest.mark.parametrize("mistake", [{"format": "xml"}, {"level": "loud"}])
def test_what_there_is_not_is_refused_with_its_key(tmp_path: Path, mistake: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=f"log.{next(iter(mistake))}"):
        load_settings(tmp_path, log=mistake)


def test_secrets_of_the_settings_are_known(tmp_path: Path) -> None:
    settings = load_settings(
        tmp_path,
        ingest={"variables": {"TOKEN": "open sesame"}},
        database={"url": "postgresql+psycopg2://kamu:p%40ss%3Aword@db/kamu"},
    )

    assert {"open sesame", "p%40ss%3Aword", "p@ss:word"} <= {*secret_values(settings)}


def test_a_process_logs_as_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = load_settings(
        tmp_path, log={"format": "json", "level": "warning"}, ingest={"variables": {"TOKEN": "open sesame"}}
    )

    begin_logging(settings, "worker")
    structlog.get_logger().info("detail")
    structlog.get_logger().warning("source_failed", url="https://example.org/open sesame")

    (line,) = capsys.readouterr().out.splitlines()
    event = json.loads(line)
    assert (event["event"], event["process"], event["level"]) == ("source_failed", "worker", "warning")
    assert event["url"] == "https://example.org/•••"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
