"""State between runs: one Arrow IPC file.

Its metadata name the engine, the version of the format, the query the state belongs to, how far each input was read,
and a digest of the state. Its rows are the tables of the state, each as an Arrow IPC stream. One is always written,
also when there are no tables or no rows: the watermarks of the inputs are state too. Same state, same bytes.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from kamu_assets.engines.engine import TransformRequest
from kamu_assets.engines.incremental.errors import CheckpointError

ENGINE: Final = "kamu-node incremental"
FORMAT: Final = "1"
_SCHEMA: Final = pa.schema([pa.field("table", pa.string(), False), pa.field("rows", pa.large_binary(), False)])


@dataclass(frozen=True, slots=True)
class State:
    """What a run leaves for the next one: the watermark of each input in milliseconds, and tables."""

    watermarks: Sequence[int]
    tables: Mapping[str, pa.Table]

    def table(self, name: str, schema: pa.Schema) -> pa.Table:
        """A table that must have these columns."""
        found = self.tables.get(name)
        if found is None:
            return schema.empty_table()
        if not found.schema.equals(schema):
            raise CheckpointError(f"has other columns in its table {name!r}: a column of an input changed its type")
        return found


def fingerprint(request: TransformRequest) -> str:
    """What state depends on: the query, and the inputs as the query sees them."""
    transform = request.transform
    query = {
        "steps": [[step.alias, step.query] for step in transform.queries or ()],
        "temporal": [[table.name, list(table.primary_key)] for table in transform.temporal_tables or ()],
        "inputs": [
            [str(one.dataset_id), one.query_alias, one.vocab.model_dump(mode="json")] for one in request.query_inputs
        ],
    }
    return hashlib.sha3_256(json.dumps(query, sort_keys=True).encode()).hexdigest()


def write_state(path: Path, state: State, *, query: str) -> None:
    """Write a checkpoint."""
    parts = {name: _as_stream(table) for name, table in sorted(state.tables.items())}
    metadata = {
        "engine": ENGINE,
        "format": FORMAT,
        "query": query,
        "watermarks": json.dumps(list(state.watermarks)),
        "digest": _digest(parts),
    }
    batch = pa.record_batch([list(parts), list(parts.values())], schema=_SCHEMA.with_metadata(metadata))
    with path.open("xb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write(batch)


def read_state(path: Path, *, query: str, inputs: int) -> State:
    """Read a checkpoint; raise unless it is an undamaged one of this query."""
    try:
        with path.open("rb") as file, pa.ipc.open_file(file) as reader:
            found = reader.read_all()
        metadata = {key.decode(): value.decode() for key, value in (found.schema.metadata or {}).items()}
    except FileNotFoundError:
        raise CheckpointError("is missing in the store") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"is damaged ({str(error).splitlines()[0]})") from None
    if metadata.get("engine") != ENGINE:
        raise CheckpointError(f"is of another engine ({metadata.get('engine', 'unknown')})")
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"has format {metadata.get('format')}, this version knows {FORMAT}")
    if metadata.get("query") != query:
        raise CheckpointError("belongs to another query or other inputs")
    return _state(found, metadata, inputs)


def _state(found: pa.Table, metadata: Mapping[str, str], inputs: int) -> State:
    try:
        parts: dict[str, bytes] = dict(zip(found["table"].to_pylist(), found["rows"].to_pylist(), strict=True))
        watermarks = json.loads(metadata["watermarks"])
        if metadata["digest"] != _digest(parts) or len(watermarks) != inputs:
            raise CheckpointError("is damaged (its digest does not fit)")
        return State(watermarks, {name: pa.ipc.open_stream(part).read_all() for name, part in parts.items()})
    except (KeyError, ValueError, OSError) as error:
        raise CheckpointError(f"is damaged ({str(error).splitlines()[0]})") from None


def _digest(parts: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, part in parts.items():
        digest.update(f"{name} {len(part)} ".encode())
        digest.update(part)
    return digest.hexdigest()


def _as_stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return bytes(sink.getvalue())
