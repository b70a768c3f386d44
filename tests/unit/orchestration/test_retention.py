"""When old history is forgotten."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from kamu_assets.database.errors import DatabaseUnavailableError
from kamu_assets.orchestration.scheduler import retention
from kamu_assets.orchestration.scheduler.retention import Retention


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LEAST_PAUSE", 0.0)


def test_each_step_is_a_batch_and_the_next_pass_waits() -> None:
    begun: list[str] = []

    def three(name: str) -> Iterator[int]:
        begun.append(name)
        yield from (1, 0, 2)

    pass_ = Retention({"flows": lambda: three("flows"), "dagster": lambda: three("dagster")}, first_after=0)

    with capture_logs() as logs:
        steps = [pass_.step() for _ in range(20)]

    assert steps == [True] * 6 + [False] * 14
    assert begun == ["flows", "dagster"]
    assert [(log["event"], log["flows"], log["dagster"]) for log in logs] == [("history_pruned", 3, 3)]


def test_a_node_that_starts_has_other_things_to_do() -> None:
    assert not Retention({"flows": lambda: iter([1])}).step()


def test_what_fails_is_not_tried_again_at_once_and_keeps_no_others() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OSError

    pass_ = Retention({"flows": failing, "dagster": lambda: iter([2])}, first_after=0)

    with capture_logs() as logs:
        steps = [pass_.step() for _ in range(4)]

    assert steps == [True, True, False, False]
    assert [log["event"] for log in logs] == ["history_not_pruned", "history_pruned"]


def test_nothing_more_is_tried_while_the_database_is_away() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise DatabaseUnavailableError("away")

    pass_ = Retention({"flows": failing, "dagster": lambda: iter([2])}, first_after=0)
    assert pass_.step()

    with pytest.raises(DatabaseUnavailableError):
        pass_.step()

    assert not pass_.step()
