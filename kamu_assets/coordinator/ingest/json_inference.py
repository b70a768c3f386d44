"""Order of inferred columns: the reference takes the keys of each record in alphabetical order, later ones after."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

_BLANKS = " \t\r\n"


def sample_of(path: Path, records: int) -> list[Any]:
    """The first records."""
    return list(islice(read_values(path), records))


def count_fields(sample: Sequence[Any]) -> int:
    """Fields that a schema of the sample has, on all levels."""
    objects = [value for value in sample if isinstance(value, dict)]
    below = [item for value in sample if isinstance(value, list) for item in value]
    keys: dict[str, list[Any]] = {}
    for value in objects:
        for key, part in value.items():
            keys.setdefault(key, []).append(part)
    nested = sum(count_fields(parts) for parts in keys.values() if any(isinstance(p, (dict, list)) for p in parts))
    return len(keys) + nested + (count_fields(below) if below else 0)


def in_upstream_order(schema: pa.Schema, sample: Sequence[Any]) -> pa.Schema:
    """The same fields in the order of the reference, on all levels."""
    return pa.schema(_ordered(list(schema), sample))


def read_values(path: Path) -> Iterator[Any]:
    """The JSON values of a file one after another, as far as they can be read."""
    decoder = json.JSONDecoder()
    rest = ""
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            rest = (rest + line).lstrip(_BLANKS)
            try:
                while rest:
                    value, end = decoder.raw_decode(rest)
                    yield value
                    rest = rest[end:].lstrip(_BLANKS)
            except ValueError:
                # The value may go on in the next line.
                continue


def _ordered(fields: list[pa.Field], sample: Sequence[Any]) -> list[pa.Field]:
    objects = [value for value in sample if isinstance(value, dict)]
    order: dict[str, int] = {}
    for value in objects:
        for key in sorted(value):
            order.setdefault(key, len(order))
    fields = sorted(fields, key=lambda field: order.get(field.name, len(order)))
    return [field.with_type(_type(field.type, [value.get(field.name) for value in objects])) for field in fields]


def _type(kind: pa.DataType, sample: list[Any]) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct(_ordered([kind.field(n) for n in range(kind.num_fields)], sample))
    if pa.types.is_list(kind):
        items = [item for value in sample if isinstance(value, list) for item in value]
        return pa.list_(kind.value_field.with_type(_type(kind.value_type, items)))
    return kind
