import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from kamu_assets.auth.tokens import AccessToken
from kamu_assets.monitoring.logs import configure_logging


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    """What is logged; the logging of the tests themselves comes back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield io.StringIO()
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_an_event_is_a_line_with_its_fields(output: io.StringIO) -> None:
    configure_logging("api", stream=output)

    structlog.get_logger("x").info("block_committed", dataset="a/b", records=3)

    (line,) = output.getvalue().splitlines()
    assert "block_committed" in line
    assert "dataset=a/b records=3" in line
    assert "process=api" in line


def test_json_lines_are_for_machines(output: io.StringIO) -> None:
    configure_logging("scheduler", as_json=True, stream=output)

    structlog.get_logger("x").warning("flow_failed", flow=1)

    event = json.loads(output.getvalue())
    assert {"event": "flow_failed", "flow": 1, "level": "warning", "process": "scheduler"}.items() <= event.items()
    assert event["timestamp"].endswith("Z")


def test_libraries_log_in_the_same_form(output: io.StringIO) -> None:
    configure_logging("api", as_json=True, stream=output)

    logging.getLogger("some.library").info("%s is up", "it")

    assert json.loads(output.getvalue())["event"] == "it is up"


def test_an_error_comes_with_its_traceback(output: io.StringIO) -> None:
    configure_logging("api", as_json=True, stream=output)

    try:
        int("three")
    except ValueError:
        structlog.get_logger("x").exception("failed")

    assert "ValueError: invalid literal for int() with base 10: 'three'" in json.loads(output.getvalue())["exception"]


@pytest.mark.parametrize("as_json", [True, False])
def test_secrets_are_hidden_wherever_they_come_from(output: io.StringIO, *, as_json: bool) -> None:
    configure_logging("api", as_json=as_json, stream=output)
    token = AccessToken.generate().reveal()

    structlog.get_logger("x").info("login", token="hunter2", header=f"Bearer {token}")
    logging.getLogger("some.library").info("sent %s", token)
    try:
        int(token)
    except ValueError:
        logging.getLogger("some.library").exception("failed")

    assert token not in output.getvalue()
    assert "hunter2" not in output.getvalue()


def test_chatter_is_left_out(output: io.StringIO) -> None:
    configure_logging("api", level="warning", stream=output)

    structlog.get_logger("x").info("detail")
    logging.getLogger("some.library").info("detail")

    assert output.getvalue() == ""


def test_known_secrets_are_hidden_in_texts_fields_and_tracebacks(output: io.StringIO) -> None:
    configure_logging("api", as_json=True, stream=output, secrets=["hunter2-hunter2"])

    structlog.get_logger("x").info("got hunter2-hunter2", source={"key": "hunter2-hunter2"})
    try:
        int("hunter2-hunter2")
    except ValueError:
        structlog.get_logger("x").exception("failed")

    assert "hunter2" not in output.getvalue()
    assert all(json.loads(line)["process"] == "api" for line in output.getvalue().splitlines())


def test_errors_of_quiet_libraries_are_logged_at_their_level(output: io.StringIO) -> None:
    configure_logging("api", level="error", stream=output)

    logging.getLogger("alembic").warning("detail")
    logging.getLogger("alembic").error("broken")

    assert "broken" in output.getvalue()
    assert "detail" not in output.getvalue()
