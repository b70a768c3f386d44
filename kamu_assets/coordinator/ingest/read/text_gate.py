"""The gate for text files: what would be read wrongly, or eat the machine, is refused before a parser sees it.

One pass at the speed of memory; only a file that looks suspicious is walked record by record.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kamu_assets.coordinator.ingest.errors import BadInputError, TooLargeError
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.csv_records import CsvDialect, walk_csv
from kamu_assets.coordinator.ingest.read.json_text import json_text
from kamu_assets.coordinator.ingest.read.nesting import Nesting, check_nesting, too_deep

_CHUNK = 1 << 20
_BOM = codecs.BOM_UTF8
_FOREIGN_BOMS = (
    (codecs.BOM_UTF32_LE, "UTF-32LE"),
    (codecs.BOM_UTF32_BE, "UTF-32BE"),
    (codecs.BOM_UTF16_LE, "UTF-16LE"),
    (codecs.BOM_UTF16_BE, "UTF-16BE"),
)


def check_csv(path: Path, dialect: CsvDialect, *, name: str, limits: IngestLimits) -> None:
    """Refuse a CSV file that is no UTF-8 text, has an endless record or a quote that never closes."""
    size = _RecordSize(quote=dialect.quote.encode())
    for chunk in _checked_chunks(path, name):
        size.add(chunk)
        if size.open_bytes > limits.max_record_bytes:
            break
    if size.inside_quotes or size.open_bytes > limits.max_record_bytes:
        for _ in walk_csv(path, dialect, name=name, limits=limits):
            pass


def check_ndjson(path: Path, *, name: str, limits: IngestLimits) -> None:
    """Refuse a JSON file that is no UTF-8 text, has an endless line, an endless record or endless nesting."""
    nesting = Nesting()
    start = inside = end = 0
    for chunk in _checked_chunks(path, name):
        begun, end = end, end + len(chunk)
        if nesting.add(chunk) > limits.max_nesting:
            _refuse_nesting(path, begun, len(chunk), name=name, limits=limits)
        start = begun + chunk.rfind(b"\n") + 1 if b"\n" in chunk else start
        if end - start > limits.max_record_bytes:
            line = _line_at(path, start)
            raise TooLargeError(f"{name}, line {line}: longer than {limits.max_record_bytes} bytes")
        # Records may have many lines. Parts of the file in which none ends lie in one, or in what is no JSON.
        inside = end if nesting.was_outside else inside
        if end - inside > limits.max_record_bytes:
            _refuse_record(path, _line_at(path, inside), name=name, limits=limits)


def check_text(path: Path, *, name: str) -> None:
    """Refuse a file that is no UTF-8 text."""
    for _ in _checked_chunks(path, name):
        pass


@dataclass
class _RecordSize:
    """How long the record at hand is, counting quotes instead of parsing: exact enough to raise suspicion."""

    quote: bytes
    inside_quotes: bool = False
    open_bytes: int = 0

    def add(self, chunk: bytes) -> None:
        # Looking for one is much faster than counting.
        if self.quote in chunk:
            self.inside_quotes ^= chunk.count(self.quote) % 2 == 1
        inside, end = self.inside_quotes, len(chunk)
        while (newline := chunk.rfind(b"\n", 0, end)) >= 0:
            inside ^= chunk.count(self.quote, newline, end) % 2 == 1
            if not inside:
                self.open_bytes = len(chunk) - newline
                return
            # This line break is inside quotes: the record began before they opened.
            end = max(chunk.rfind(self.quote, 0, newline), 0)
            inside = False
        self.open_bytes += len(chunk)


def _checked_chunks(path: Path, name: str) -> Iterator[bytes]:
    """The file in pieces, proven to be UTF-8 without NUL; the byte-order mark is left out."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    offset = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if offset == 0:
                _check_start(chunk, name)
            if b"\0" in chunk:
                _refuse_nul(path, chunk, offset, name)
            held = len(decoder.getstate()[0])
            if held or not chunk.isascii():
                _decode(decoder, chunk, path=path, offset=offset - held, name=name)
            yield chunk.removeprefix(_BOM) if offset == 0 else chunk
            offset += len(chunk)
    if rest := decoder.getstate()[0]:
        where = offset - len(rest)
        line = _line_at(path, where)
        raise BadInputError(f"{name}, line {line}: the file ends inside a character (byte {where})")


def _line_at(path: Path, offset: int) -> int:
    """The line of a byte: lines are counted only when somebody has to be told."""
    line = 1
    with path.open("rb") as file:
        while offset > 0 and (chunk := file.read(min(_CHUNK, offset))):
            line += chunk.count(b"\n")
            offset -= len(chunk)
    return line


def _check_start(chunk: bytes, name: str) -> None:
    for bom, encoding in _FOREIGN_BOMS:
        if chunk.startswith(bom):
            raise BadInputError(f"{name}: the file is {encoding}; only UTF-8 is read, convert it first")


def _refuse_nul(path: Path, chunk: bytes, offset: int, name: str) -> None:
    where = offset + chunk.index(b"\0")
    odd, even = chunk[1::2].count(0), chunk[::2].count(0)
    guess = ""
    if odd + even > len(chunk) // 4:
        guess = f"; the file looks like {'UTF-16LE' if odd > even else 'UTF-16BE'}, convert it to UTF-8 first"
    raise BadInputError(f"{name}, line {_line_at(path, where)}: NUL byte at byte {where}{guess}")


def _decode(decoder: codecs.IncrementalDecoder, chunk: bytes, *, path: Path, offset: int, name: str) -> None:
    try:
        decoder.decode(chunk)
    except UnicodeDecodeError as error:
        where = offset + error.start
        raise BadInputError(
            f"{name}, line {_line_at(path, where)}: byte 0x{error.object[error.start]:02x} at byte {where} is not UTF-8"
        ) from error


def _refuse_record(path: Path, within: int, *, name: str, limits: IngestLimits) -> None:
    """Name the first line of the record that holds this line, or the place before it where the file is no JSON."""
    with json_text(path, name=name, limits=limits) as text:
        line = text.line
        while text.peek() and text.line <= within:
            line = text.line
            text.skip()
    raise TooLargeError(f"{name}, line {line}: a record longer than {limits.max_record_bytes} bytes")


def _refuse_nesting(path: Path, start: int, size: int, *, name: str, limits: IngestLimits) -> None:
    """Name the line, as far as this part of the file alone can tell it."""
    with path.open("rb") as file:
        file.seek(start)
        check_nesting(file.read(size), where=name, line=_line_at(path, start), limits=limits)
    raise too_deep(name, _line_at(path, start), limits)
