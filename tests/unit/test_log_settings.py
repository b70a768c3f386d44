"""How the node logs, and what it knows to be secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from kamu_assets.setting_variables import variable_of
from kamu_assets.settings import SettingsError, begin_logging, load_settings, secret_values


@pytest.mark.parametrize("mistake", [{"format": "xml"}, {"level": "loud"}])
def test_what_there_is_not_is_refused_with_its_key(tmp_path: Path, mistake: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=f"log.{next(iter(mistake))}"):
        load_settings(tmp_path, log=mistake)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("debug", "debug"),
        ("TRACE", "debug"),
        ("warn", "warning"),
        ("off", "error"),
        ("warn,kamu=debug", "debug"),
        ("hyper=trace, kamu_adapter_http=error ,info", "error"),
        ("hyper=trace,sqlx", "info"),
        ("loud", "info"),
        ("", "info"),
    ],
)
def test_the_level_is_read_as_operators_of_kamu_say_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, level: str
) -> None:
    monkeypatch.setenv("RUST_LOG", text)

    assert load_settings(tmp_path).log.level == level


def test_our_own_words_come_first_and_the_variable_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "node.yaml").write_text("log: {level: error, format: json}")
    monkeypatch.setenv("RUST_LOG", "debug")

    settings = load_settings(tmp_path)
    monkeypatch.setenv("KAMU_NODE__LOG__LEVEL", "warning")

    assert (settings.log.level, settings.log.format) == ("debug", "json")
    assert load_settings(tmp_path).log.level == "warning"
    assert variable_of(("log", "level")) == "KAMU_NODE__LOG__LEVEL"
    monkeypatch.delenv("KAMU_NODE__LOG__LEVEL")
    assert (variable_of(("log", "level")), variable_of(("log", "format"))) == ("RUST_LOG", None)


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
