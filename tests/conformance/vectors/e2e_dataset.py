"""A complete dataset: its blocks and its data."""

import base64
import json
from typing import Any

from kamu_assets.odf.multihash import Multihash
from tests.conformance.difference import expect
from tests.conformance.vectors import block_codec
from tests.support.parquet import SliceFile
from tests.support.rows import dumps, printed


def check(case: dict[str, Any]) -> None:
    if "block" in case:
        block_codec.check(case)
    else:
        _check_slice(base64.b64decode(case["parquet_base64"]), case)


def _check_slice(raw: bytes, case: dict[str, Any]) -> None:
    expected, content = case["expected"], SliceFile(raw)
    rows = list(printed([content.table], content.table.column_names))
    offsets = content.table.column("offset").to_pylist()
    ours = {
        "size": len(raw),
        "physical_hash": str(Multihash.sha3_256(raw)),
        "logical_hash": str(content.logical_hash()),
        "num_records": content.table.num_rows,
        "offset_interval": {"start": min(offsets), "end": max(offsets)},
        "watermark": max(json.loads(row)["event_time"] for row in rows),
    }
    expect("slice", ours={key: ours.get(key) for key in expected}, theirs=expected)
    expect("rows", ours=rows, theirs=[dumps(row) for row in case["rows"]])
