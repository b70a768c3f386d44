"""What the relay says while what it needs is away."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from kamu_assets.database.database import Database
from kamu_assets.database.errors import DatabaseUnavailableError
from kamu_assets.database.outbox_relay import Relay
from kamu_assets.database.wakeups import Wakeups


def test_an_outage_of_the_database_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave() -> float:
        raise DatabaseUnavailableError("away")

    relay = Relay(database=Database.temporary(), stream=cast("Any", None), wakeups=Wakeups(tmp_path))
    with capture_logs() as logs:
        monkeypatch.setattr(relay, "step", leave)
        pauses = [relay._guarded(), relay._guarded()]
        monkeypatch.setattr(relay, "step", float)
        relay._guarded()

    assert all(pauses)
    assert [log["event"] for log in logs] == ["outbox_relay_waits", "outbox_relay_goes_on"]
