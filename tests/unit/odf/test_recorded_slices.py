"""Every data slice that a real kamu wrote has the logical hash that its block says."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.odf.arrow_schema import restore_arrow_types
from kamu_assets.odf.data_hash import LogicalHasher
from tests.support.reference import reference_folder


def slices_in(value: Any) -> Iterator[tuple[str, str]]:
    """Physical and logical hash of all DataSlices anywhere in a JSON document."""
    if isinstance(value, dict):
        if {"physicalHash", "logicalHash"} <= value.keys():
            yield value["physicalHash"], value["logicalHash"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from slices_in(item)


def hash_of(path: Path) -> str:
    with pq.ParquetFile(path) as file:
        declared = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(file.metadata.metadata[b"ARROW:schema"])))
        batches = [restore_arrow_types(batch, declared) for batch in file.iter_batches(10_000)]
    hasher = LogicalHasher(batches[0].schema)
    for batch in batches:
        hasher.update(batch)
    return str(hasher.digest())


def test_recorded_slices_hash_as_their_blocks_say() -> None:
    recorded = reference_folder() / "odf" / "recorded"
    documents = [json.loads(path.read_text()) for path in recorded.rglob("expected.json")]
    expected = dict(pair for document in documents for pair in slices_in(document))
    files = {path.name: path for path in recorded.rglob("data/*") if path.name in expected}

    assert len(files) > 400
    assert {name: hash_of(path) for name, path in files.items()} == {name: expected[name] for name in files}
