"""The catalog's state may be lost or damaged; the code server starts all the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs
from upath import UPath

from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog.state import CatalogRow, dump_rows, load_rows
from kamu_assets.orchestration.catalog.state_storage import NodeStateStorage


@pytest.fixture
def storage(tmp_path: Path) -> NodeStateStorage:
    (tmp_path / "states" / "key").mkdir(parents=True)
    return NodeStateStorage(UPath(tmp_path / "states"))


def test_a_state_comes_as_it_was_stored(storage: NodeStateStorage, tmp_path: Path) -> None:
    rows = (CatalogRow(id=DatasetID.seeded(b"cities"), account="kamu", name="cities", kind="Root"),)
    (tmp_path / "states" / "key" / "1").write_bytes(dump_rows(rows))

    storage.download_state_to_path("key", "1", tmp_path / "state")

    assert load_rows(tmp_path / "state") == rows


@pytest.mark.parametrize("content", [None, b"", b"[{", b"\0" * 100])
def test_a_state_that_cannot_be_read_is_an_empty_one(
    storage: NodeStateStorage, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "states" / "key" / "1").write_bytes(content)

    with capture_logs() as logs:
        storage.download_state_to_path("key", "1", tmp_path / "state")

    assert load_rows(tmp_path / "state") == ()
    assert [line["event"] for line in logs] == ["catalog_state_lost"]
