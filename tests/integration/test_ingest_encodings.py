"""Web servers that encode what they send, though nobody asks them to."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from kamu_assets.coordinator.ingest.errors import BadArchiveError, TooLargeError, UnsupportedEncodingError
from kamu_assets.coordinator.ingest.fetch.model import FetchRequest
from kamu_assets.coordinator.ingest.fetch.steps import fetch
from kamu_assets.coordinator.ingest.limits import FetchLimits
from kamu_assets.coordinator.results import Updated
from kamu_assets.odf.data import DataField, DataSchema, Int64Type
from kamu_assets.odf.dataset import SetPollingSource
from kamu_assets.odf.source import (
    CompressionFormat,
    FetchStepUrl,
    MergeStrategyAppend,
    PrepStepDecompress,
    ReadStepCsv,
)
from tests.support.builders import START
from tests.support.coordination import LOCAL_SERVERS, a_coordinator
from tests.support.heart import ADMIN, Heart, an_entry
from tests.support.web_source import Route, WebSource

PLAIN = b"1\n2\n3\n"
PACKED = gzip.compress(PLAIN, mtime=0)
NUMBERS = ReadStepCsv(schema_=DataSchema(fields=(DataField(name="n", type=Int64Type()),)))


def fetched(web: WebSource, tmp_path: Path, route: Route, *, unpacks_gzip: bool = False) -> bytes:
    web.routes["/n.csv"] = route
    request = FetchRequest(
        previous=None,
        system_time=START,
        folder=tmp_path,
        base=tmp_path,
        limits=FetchLimits(max_bytes=100_000, silence_seconds=10),
        egress=LOCAL_SERVERS,
        unpacks_gzip=unpacks_gzip,
    )
    found = fetch(FetchStepUrl(url=f"{web.url}/n.csv"), request)
    assert found is not None
    assert list(tmp_path.iterdir()) == [found.path]
    return found.path.read_bytes()


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "identity, gzip"])
def test_gzip_is_taken_off(web: WebSource, tmp_path: Path, encoding: str) -> None:
    assert fetched(web, tmp_path, Route(PACKED, encoding=encoding)) == PLAIN


@pytest.mark.parametrize("encoding", [None, "", "identity"])
def test_what_is_not_encoded_stays_as_it_is(web: WebSource, tmp_path: Path, encoding: str | None) -> None:
    assert fetched(web, tmp_path, Route(PACKED, encoding=encoding)) == PACKED


def test_a_source_that_unpacks_gets_what_it_expects(web: WebSource, tmp_path: Path) -> None:
    """Servers say of files that are stored as gzip, too, that gzip is their encoding."""
    assert fetched(web, tmp_path, Route(PACKED, encoding="gzip"), unpacks_gzip=True) == PACKED


@pytest.mark.parametrize(
    ("route", "error", "words"),
    [
        (Route(PLAIN, encoding="br"), UnsupportedEncodingError, "Content-Encoding br, which the node did not ask for"),
        (Route(PACKED, encoding="gzip, gzip"), UnsupportedEncodingError, "Content-Encoding gzip, gzip"),
        (Route(PLAIN, encoding="gzip"), BadArchiveError, "n.csv: not gzip, or damaged"),
        (Route(PACKED[:-9], encoding="gzip"), BadArchiveError, "n.csv: the gzip data is cut off"),
        (Route(gzip.compress(bytes(1 << 20)), encoding="gzip"), TooLargeError, "more than 100000 bytes"),
    ],
)
def test_what_cannot_be_taken_off_is_told(
    web: WebSource, tmp_path: Path, route: Route, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        fetched(web, tmp_path, route)


@pytest.mark.parametrize(
    "prepare", [None, (PrepStepDecompress(format=CompressionFormat.GZIP),)], ids=["as it is", "unpacked"]
)
def test_either_way_the_rows_are_found(
    heart: Heart, web: WebSource, tmp_path: Path, prepare: tuple[PrepStepDecompress, ...] | None
) -> None:
    web.routes["/n.csv"] = Route(PACKED, encoding="gzip")
    source = SetPollingSource(
        fetch=FetchStepUrl(url=f"{web.url}/n.csv"), prepare=prepare, read=NUMBERS, merge=MergeStrategyAppend()
    )
    heart.committer.create(an_entry("numbers"), [source], system_time=START)

    result = a_coordinator(heart, base=tmp_path).pull(ADMIN, an_entry("numbers").alias)

    assert isinstance(result, Updated)
    assert result.records == 3
