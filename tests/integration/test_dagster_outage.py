"""Dagster's tables on a PostgreSQL that is restarted."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from kamu_assets.orchestration.storages import server_connections
from tests.support.dagster_home import dagster_home
from tests.support.postgres import restartable_server


def test_connections_come_through_a_restart_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_connections, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(server_connections, "PATIENCE_SECONDS", 100.0)
    with (
        restartable_server() as server,
        dagster_home(tmp_path, database_url=server.url) as home,
        home.instance() as instance,
    ):

        def look() -> None:
            assert instance.get_run_records(limit=1) == []
            assert not instance.get_asset_keys(limit=1)
            assert instance.schedule_storage is not None
            assert not instance.schedule_storage.all_instigator_state()

        look()
        server.crash()
        server.start()
        # At once: what was kept open is not used without a look.
        look()

        server.crash()
        waiting = threading.Thread(target=look)
        waiting.start()
        waiting.join(1)
        assert waiting.is_alive()
        server.start()
        waiting.join(100)
        assert not waiting.is_alive()
