"""The PostgreSQL the tests run against is a real one, and its absence is an error."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy import create_engine, text

from tests.support import postgres


def test_a_database_is_fresh_and_real(postgres_database: str) -> None:
    engine = create_engine(postgres_database)

    with engine.connect() as connection:
        version = connection.execute(text("SELECT version()")).scalar_one()
        tables = connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).scalar_one()

    engine.dispose()
    assert version.startswith("PostgreSQL")
    assert tables == 0


def test_without_a_server_the_tests_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAMU_TEST_POSTGRES_URL", raising=False)
    monkeypatch.setattr(postgres, "_installations", list)

    with pytest.raises(postgres.NoPostgresError, match="KAMU_TEST_POSTGRES_URL"), postgres.postgres_server():
        pass


def test_a_named_server_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAMU_TEST_POSTGRES_URL", "postgresql://somebody@somewhere/else")

    with postgres.postgres_server() as url:
        assert url == "postgresql://somebody@somewhere/else"


def test_a_private_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    starter = (
        "import sys, time\n"
        "from tests.support.postgres import postgres_server\n"
        "with postgres_server() as url:\n"
        "    print(url, flush=True)\n"
        "    time.sleep(60)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "KAMU_TEST_POSTGRES_URL"}

    with subprocess.Popen(
        [sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        psycopg2.connect(url).close()
        process.send_signal(signal.SIGKILL)

    assert _gone(url)
    postgres.remove_abandoned()


def _gone(url: str) -> bool:
    for _ in range(100):
        try:
            psycopg2.connect(url).close()
        except psycopg2.OperationalError:
            return True
        time.sleep(0.1)
    return False


def test_a_server_that_cannot_start_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAMU_TEST_POSTGRES_URL", raising=False)
    monkeypatch.setitem(postgres.SETTINGS, "no_such_setting", "on")
    # Waiting for it would last longer than a test may.
    monkeypatch.setattr(postgres, "START_SECONDS", 3600.0)

    with pytest.raises(postgres.NoPostgresError, match="no_such_setting"), postgres.postgres_server():
        pass
