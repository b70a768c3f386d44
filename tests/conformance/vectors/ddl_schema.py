"""Column definitions in SQL as an ODF schema."""

from typing import Any

from kamu_assets.odf.ddl import parse_ddl
from tests.conformance.difference import expect, expect_refused
from tests.conformance.vectors._json import to_json


def check(case: dict[str, Any]) -> None:
    if "error" in case["expected"]:
        expect_refused("DDL", lambda: parse_ddl(case["ddlSchema"]))
    else:
        expect("schema", ours=to_json(parse_ddl(case["ddlSchema"])), theirs=case["expected"]["schema"])
