"""Pages of lists: sizes and places that make no sense (trial KF-09)."""

from __future__ import annotations

import pytest

from tests.support.command_line import Home
from tests.support.manifests import pushed_root, reading

MISUSE = 2
PAGED = {
    "flows": ("flow", "list"),
    "deliveries": ("webhook", "deliveries", "nobody"),
    "messages": ("outbox", "show", "nobody"),
    "blocks": ("log", "cities"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = Home(tmp_path_factory.mktemp("pages"))
    made.ok("add", made.write("cities.yaml", pushed_root("cities", reading("id INT"))))
    made.ok("flow", "run", "cities", "--type", "verify")
    return made


def refused(home: Home, option: str, *command: str) -> bool:
    """As a command that makes no sense, because of this option."""
    done = home.run(*command)
    return done.code == MISUSE and f"'{option}'" in done.told and not done.out


@pytest.mark.parametrize("size", ["0", "-1", "many"])
@pytest.mark.parametrize("command", PAGED.values(), ids=PAGED)
def test_a_page_has_at_least_one_row(home: Home, command: tuple[str, ...], size: str) -> None:
    assert refused(home, "--limit", *command, f"--limit={size}")


@pytest.mark.parametrize("size", ["2147483647", "99999999999999999999"])
def test_nobody_gets_everything_by_chance(home: Home, size: str) -> None:
    assert refused(home, "--limit", "flow", "list", f"--limit={size}")


@pytest.mark.parametrize("before", ["0", "-1", "last"])
def test_a_page_begins_after_a_flow(home: Home, before: str) -> None:
    assert refused(home, "--before", "flow", "list", f"--before={before}")


@pytest.mark.parametrize(("before", "flows"), [("1", 0), ("2", 1), ("2147483648", 1), ("9223372036854775807", 1)])
def test_a_page_has_what_was_before(home: Home, before: str, flows: int) -> None:
    assert len(home.json("flow", "list", "--before", before)) == flows


def test_a_place_that_no_flow_can_have_is_refused(home: Home) -> None:
    assert "too large" in home.refusal("flow", "list", "--before", "9223372036854775808")
