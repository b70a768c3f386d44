"""Why a file of JSON records could not be read: line, column, value and expected type."""

import json
from collections.abc import Iterator, Sequence

import pyarrow as pa

from kamu_assets.coordinator.ingest.errors import BadInputError, TypeMismatchError
from kamu_assets.coordinator.ingest.explain.guilty_record import CHUNK, column_error, first_failing, shown
from kamu_assets.coordinator.ingest.read.input_file import InputFile
from kamu_assets.coordinator.ingest.read.json_scanner import JsonValue, json_values
from kamu_assets.coordinator.ingest.read.json_text import json_text, one_line
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError, stream

_CHUNK_CHARACTERS = 8 << 20


def explain_json(bench: Bench, lines: InputFile, *, schema: pa.Schema | None) -> None:
    """Raise the error of the first record that cannot be read; return if there is none."""
    with json_text(lines.path, name=lines.name, limits=bench.limits) as text:
        for chunk in _chunks(_objects(json_values(text), lines)):
            if schema is None:
                continue
            guilty = first_failing(chunk, lambda part: _failure(bench, part, schema) is not None)
            if guilty is not None:
                _explain_record(bench, chunk[guilty], schema, lines)


def _objects(values: Iterator[JsonValue], lines: InputFile) -> Iterator[JsonValue]:
    for found in values:
        if not isinstance(found.value, dict):
            kind = {list: "an array", str: "a string", type(None): "null"}.get(type(found.value), "a number or boolean")
            raise BadInputError(
                f"{lines.name}, {lines.unit} {found.line}: a record must be a JSON object, found {kind}"
            )
        yield found


def _chunks(records: Iterator[JsonValue]) -> Iterator[list[JsonValue]]:
    """Records that are tried together: some thousands, or fewer long ones."""
    chunk: list[JsonValue] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record.text)
        if len(chunk) >= CHUNK or size > _CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _explain_record(bench: Bench, record: JsonValue, schema: pa.Schema, lines: InputFile) -> None:
    _check_unicode(record, f"{lines.name}, {lines.unit} {record.line}")
    for field in schema:
        reason = _failure(bench, [record], pa.schema([field]))
        if reason is not None:
            value = record.value.get(field.name)
            text = json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list, bool)) else value
            raise column_error(f"{lines.name}, {lines.unit} {record.line}", field, text, reason)


def _check_unicode(record: JsonValue, where: str) -> None:
    # The engine reads no column of such a record, so each of them would look guilty.
    for key, value in record.value.items():
        try:
            json.dumps({key: value}, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            column = key.encode(errors="backslashreplace").decode()
            raise TypeMismatchError(
                f"{where}, column `{column}`: {shown(value)} has half of a surrogate pair, which no text can hold"
            ) from error


def _failure(bench: Bench, records: Sequence[JsonValue], schema: pa.Schema) -> str | None:
    """What the reader says to these records alone."""
    path = bench.scratch / "suspects.json"
    path.write_text("".join(one_line(record.text) + "\n" for record in records), encoding="utf-8")
    try:
        for _ in stream(bench.session.read_json(str(path), schema=schema, file_extension="")):
            pass
    except EngineFailureError as error:
        return str(error)
    return None
