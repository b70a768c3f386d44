"""Manifests that create datasets."""

from typing import Any

from kamu_assets.odf.serde.yaml import dump_snapshot, parse_snapshot
from tests.conformance.difference import expect, expect_refused
from tests.conformance.vectors._json import to_json


def check(case: dict[str, Any]) -> None:
    if "error" in case["expected"]:
        expect_refused("manifest", lambda: parse_snapshot(case["yaml"]))
        return
    snapshot = parse_snapshot(case["yaml"])
    expect("snapshot", ours=to_json(snapshot), theirs=case["expected"])
    expect("snapshot written and read", ours=to_json(parse_snapshot(dump_snapshot(snapshot))), theirs=case["expected"])
