"""Recorded roots, run again on a fresh node: same outcomes, same events, same rows."""

from pathlib import Path

import pytest

from tests.support.reference import reference_folder
from tests.support.replay import Scenario, replay

RECORDED = reference_folder() / "odf/recorded"
# One of each: the runner of the conformance suite takes all of them.
SMOKE = (
    "append-order",
    "csv-bom-no-schema",
    "csv-infer-event-time",
    "csv-null-vs-empty",
    "csv-quote-double-default-escape",
    "glob-subdirs",
    "http-last-modified",
    "ledger-null-keys",
    "ledger-string-case-keys",
    "ndjson-infer",
    "ndjson-number-strings",
    "neg-csv-required-null",
    "neg-parquet-garbage",
    "neg-preprocess-runtime",
    "parquet-required",
    "parquet-schema-cast",
    "preprocess-chained",
    "push-input-format",
    "push-two-sources",
    "schema-optional-after-required",
    "types-csv-dates-times",
    "url-unchanged",
    "vocab-all",
)


@pytest.mark.parametrize("name", SMOKE)
def test_a_recorded_root_comes_out_the_same(name: str, tmp_path: Path) -> None:
    scenario = Scenario.load(RECORDED / name)

    assert scenario.exclusion() is None
    assert replay(scenario, tmp_path) == []


def test_a_difference_is_noticed(tmp_path: Path) -> None:
    scenario = Scenario.load(RECORDED / "append-order")
    last = scenario.expected["blocks"][-1]["block"]["event"]
    last["newWatermark"] = "1999-01-01T00:00:00Z"

    (difference,) = replay(scenario, tmp_path)

    assert "1999-01-01" in difference
