"""The text that hashes and signatures of query answers are made of."""

import json
from typing import Any

from kamu_assets.odf.canonical_json import canonical_json
from tests.conformance.difference import expect


def check(case: dict[str, Any]) -> None:
    expect("text", ours=canonical_json(json.loads(case["input_json"])).decode(), theirs=case["expected"])
