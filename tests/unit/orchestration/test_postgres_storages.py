"""Where Dagster's tables are, told from the address that an operator gave."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from kamu_assets.orchestration.storages.postgres import SCHEMA, _address


@pytest.mark.parametrize(
    "given", ["postgresql://me:p%40ss@host:5433/db", "postgresql+psycopg2://me:p%40ss@host:5433/db"]
)
def test_an_address_gets_our_driver_and_the_schema(tmp_path: Path, given: str) -> None:
    (tmp_path / "postgres.url").write_text(f"{given}\n")

    address = make_url(_address({"url_file": str(tmp_path / "postgres.url")}))

    assert address.drivername == "postgresql+psycopg2"
    assert (address.username, address.password, address.host, address.port) == ("me", "p@ss", "host", 5433)
    assert address.query["options"] == f"-csearch_path={SCHEMA}"
