"""Why a file of JSON records could not be read: line, column, value and expected type."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from kamu_assets.coordinator.ingest.errors import BadInputError
from kamu_assets.coordinator.ingest.explain import CHUNK, column_error, first_failing, shown
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, stream

_BLANKS = " \t\r\n"


@dataclass(frozen=True, slots=True)
class _Record:
    line: int
    text: str
    value: dict[str, Any]


def explain_json(bench: Bench, path: Path, *, name: str, schema: pa.Schema | None) -> None:
    """Raise the error of the first record that cannot be read; return if there is none."""
    records = _walk(path, name)
    while chunk := list(islice(records, CHUNK)):
        if schema is None:
            continue
        guilty = first_failing(chunk, lambda part: _failure(bench, part, schema) is not None)
        if guilty is not None:
            _explain_record(bench, chunk[guilty], schema, name)


def _walk(path: Path, name: str) -> Iterator[_Record]:
    decoder = json.JSONDecoder()
    rest, start = "", 1
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for line, text in enumerate(file, start=1):
            start = start if rest else line
            rest = (rest + text).lstrip(_BLANKS)
            while rest:
                try:
                    value, end = decoder.raw_decode(rest)
                except json.JSONDecodeError as error:
                    if error.pos < len(rest.rstrip(_BLANKS)):
                        raise _malformed(error, start, name) from error
                    break
                yield _Record(start, rest[:end], _as_object(value, start, name))
                rest, start = rest[end:].lstrip(_BLANKS), line
    if rest:
        raise BadInputError(f"{name}, line {start}: the file ends in the middle of a record")


def _malformed(error: json.JSONDecodeError, start: int, name: str) -> BadInputError:
    line = start + error.lineno - 1
    near = error.doc[max(error.pos - 10, 0) : error.pos + 20].replace("\n", " ")
    return BadInputError(f"{name}, line {line}, position {error.colno}: no JSON: {error.msg} near {shown(near)}")


def _as_object(value: object, line: int, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        found = {list: "an array", str: "a string", type(None): "null"}.get(type(value), "a number or boolean")
        raise BadInputError(f"{name}, line {line}: a record must be a JSON object, found {found}")
    return value


def _explain_record(bench: Bench, record: _Record, schema: pa.Schema, name: str) -> None:
    for field in schema:
        reason = _failure(bench, [record], pa.schema([field]))
        if reason is not None:
            value = record.value.get(field.name)
            text = json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list, bool)) else value
            raise column_error(f"{name}, line {record.line}", field, text, reason)


def _failure(bench: Bench, records: Sequence[_Record], schema: pa.Schema) -> str | None:
    """What the reader says to these records alone."""
    path = bench.scratch / "suspects.json"
    path.write_text("".join(record.text.replace("\n", " ") + "\n" for record in records), encoding="utf-8")
    try:
        for _ in stream(bench.session.read_json(str(path), schema=schema, file_extension="")):
            pass
    except EngineFailureError as error:
        return str(error)
    return None
