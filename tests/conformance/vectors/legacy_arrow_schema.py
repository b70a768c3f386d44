"""Schemas of old datasets, kept as Arrow wrote them."""

import base64
from typing import Any

from kamu_assets.odf.arrow_schema import read_legacy_schema, upgrade_legacy_schema
from tests.conformance.difference import expect
from tests.conformance.vectors._json import to_json
from tests.support.parquet import field_text


def check(case: dict[str, Any]) -> None:
    raw = base64.b64decode(case["raw_arrow_schema_base64"])
    expect("schema", ours=to_json(upgrade_legacy_schema(raw)), theirs=case["expected"]["schema"])
    if "arrow_schema" in case:
        fields = [field_text(field) for field in read_legacy_schema(raw)]
        expect("Arrow schema", ours=fields, theirs=case["arrow_schema"])
