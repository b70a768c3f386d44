"""What the name of a file says about its content."""

import pytest

from kamu_assets.coordinator.ingest.errors import UnsupportedMediaTypeError
from kamu_assets.coordinator.ingest.push.media_types import media_type_of_file


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("x.ndjson", "application/x-ndjson"),
        ("x.jsonl", "application/x-ndjson"),
        ("x.csv", "text/csv"),
        ("x.parquet", "application/vnd.apache.parquet"),
        ("x.GeoJSON", "application/geo+json"),
        ("x.CSV.gz", "text/csv"),
        ("a.csv/b.tar.json.GZ", "application/json"),
    ],
)
def test_the_ending_says_what_it_is(name: str, media_type: str) -> None:  # KD-08
    assert media_type_of_file(name) == media_type


@pytest.mark.parametrize("name", ["x.xls", "x", "x.gz", "x.csv.zip", "csv", ".gz"])
def test_an_unknown_ending_is_refused_with_those_that_are_known(name: str) -> None:  # KD-08
    with pytest.raises(UnsupportedMediaTypeError, match=r"unknown ending; known are \.csv, .*\.parquet, each also"):
        media_type_of_file(name)
