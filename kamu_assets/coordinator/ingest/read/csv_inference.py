"""Guessed columns of CSV files: a guess must not change what is in the file.

Numbers are recognised as the reference does it, except that digits after a leading zero are no number: postal codes and
account numbers keep their zeros.
"""

import mmap
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.types as pt

from kamu_assets.coordinator.ingest.errors import TypeMismatchError
from kamu_assets.coordinator.ingest.explain.guilty_record import shown, type_name
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.csv_records import CsvDialect, CsvRecord, walk_csv
from kamu_assets.coordinator.ingest.read.input_file import InputFile

_ZERO_FIRST = re.compile(r"[+-]?0\d+(?:\.\d*)?")


def column_names(header: Sequence[str]) -> list[str]:
    """Names of columns by a header; one without a name is called like in a file without a header."""
    return [name or f"column_{number}" for number, name in enumerate(header, start=1)]


def with_zeros_kept(
    guess: pa.Schema, file: InputFile, dialect: CsvDialect, *, header: bool, limits: IngestLimits
) -> pa.Schema:
    """The guess, with text for columns whose zeros a number would lose; refuses a file that shows them too late."""
    numbers = {place for place, field in enumerate(guess) if pt.is_integer(field.type) or pt.is_floating(field.type)}
    if not numbers or not _may_have_zeros(file.path, dialect):
        return guess
    records = walk_csv(file.path, dialect, name=file.name, limits=limits)
    if header:
        next(records, None)
    texts = {place for place, _ in _losers(islice(records, limits.inference_records), numbers)}
    for place, record in _losers(records, numbers - texts):
        field = guess.field(place)
        raise TypeMismatchError(
            f"{file.name}, line {record.line}, column `{field.name}`: {shown(record.fields[place])} would lose its "
            f"zeros: the first {limits.inference_records} records look like {type_name(field.type)}; "
            "declare the column as STRING in the read step"
        )
    fields = [field.with_type(pa.string()) if place in texts else field for place, field in enumerate(guess)]
    return pa.schema(fields)


def _losers(records: Iterator[CsvRecord], columns: set[int]) -> Iterator[tuple[int, CsvRecord]]:
    for record in records:
        for place in columns:
            if place < len(record.fields) and _ZERO_FIRST.fullmatch(record.fields[place]):
                yield place, record


def _may_have_zeros(path: Path, dialect: CsvDialect) -> bool:
    """Whether any field may be one; looks at all bytes at once, because most files have none."""
    separator, quote = re.escape(dialect.separator.encode()), re.escape(dialect.quote.encode())
    pattern = re.compile(
        rb"(?:^|[\r\n]|%s|%s)%s(?=%s|%s|[\r\n]|\Z)" % (separator, quote, _ZERO_FIRST.pattern.encode(), separator, quote)
    )
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return pattern.search(text) is not None
