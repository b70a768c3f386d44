"""Names of datasets and patterns of them."""

from typing import Any

from kamu_assets.odf.names import DatasetName, NamePattern
from tests.conformance.difference import DifferenceError, expect, expect_refused


def check(case: dict[str, Any]) -> None:
    match case["op"]:
        case "dataset_name":
            _check_valid(DatasetName, case)
        case "dataset_name_pattern":
            _check_valid(NamePattern, case)
        case "names_equal":
            one, other = map(DatasetName.parse, case["input"])
            expect("equal", ours=one == other, theirs=case["expected"]["equal"])
            expect("same hash", ours=hash(one) == hash(other), theirs=case["expected"]["equal"])
        case op:
            raise DifferenceError(f"unknown op `{op}`")


def _check_valid(kind: type[DatasetName | NamePattern], case: dict[str, Any]) -> None:
    if case["expected"]["valid"]:
        expect("spelling", ours=str(kind.parse(case["input"])), theirs=case["input"])
    else:
        expect_refused(kind.__name__, lambda: kind.parse(case["input"]))
