"""A source without rows still says what its dataset looks like, and so do the datasets made of it."""

from pathlib import Path

import pytest

from kamu_assets.coordinator.ingest.slice_events import schema_of
from kamu_assets.coordinator.results import Updated, UpToDate
from kamu_assets.coordinator.service import Coordinator
from kamu_assets.odf.identity import DatasetAlias
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart
from tests.support.inline_engine import InlineEngine
from tests.support.manifests import derivative, polled_root, reading

DERIVATIVE = derivative("copies", "select event_time, symbol, price from quotes", "kamu/quotes")
QUOTES, COPIES = DatasetAlias.parse("kamu/quotes"), DatasetAlias.parse("kamu/copies")


@pytest.fixture
def coordinator(heart: Heart, tmp_path: Path) -> Coordinator:
    return a_coordinator(heart, base=tmp_path, engines={"datafusion": InlineEngine()})


@pytest.mark.parametrize(
    "source",
    [
        ("Csv", "header: true", "symbol,price\n"),
        ("Csv", "header: true", ""),
        ("NdJson", "", ""),
        ("Json", "", "[]"),
        ("GeoJson", "", '{"type": "FeatureCollection", "features": []}'),
        ("NdGeoJson", "", ""),
    ],
)
def test_a_source_without_rows_has_a_schema(
    source: tuple[str, str, str], heart: Heart, coordinator: Coordinator, tmp_path: Path
) -> None:  # KD-05
    reader, options, content = source
    (tmp_path / "empty").write_text(content)
    read = reading("symbol STRING", "price DOUBLE", kind=reader, options=options)
    root = polled_root("quotes", f"{{kind: FilesGlob, path: {tmp_path / 'empty'}}}", read)
    for text in (root, DERIVATIVE):
        heart.datasets.create_from_snapshot(ADMIN, text, system_time=heart.clock.now())

    updated = coordinator.pull(ADMIN, QUOTES)
    coordinator.pull(ADMIN, COPIES)

    assert isinstance(updated, Updated)
    assert updated.records == 0
    for alias in (QUOTES, COPIES):
        state = heart.chains.state(heart.datasets.resolve(ADMIN, alias).id)
        schema = schema_of(state)
        assert schema is not None
        assert [field.name for field in schema.fields][4:] == ["symbol", "price"]
        assert isinstance(coordinator.pull(ADMIN, alias), UpToDate)
