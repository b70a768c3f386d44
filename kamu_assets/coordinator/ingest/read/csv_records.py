"""CSV record by record, with line numbers: for headers and for telling where a file is wrong.

Rules are those of the reader that ingests (Rust's `csv`): a quote opens only at the start of a field, an escape works
only inside quotes, text after a closing quote belongs to the field, blank lines do not count.
"""

import codecs
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kamu_assets.coordinator.ingest.errors import BadInputError, TooLargeError
from kamu_assets.coordinator.ingest.limits import IngestLimits


@dataclass(frozen=True, slots=True)
class CsvDialect:
    """How fields are parted and quoted."""

    separator: str = ","
    quote: str = '"'
    escape: str = "\\"

    def pattern(self) -> re.Pattern[bytes]:
        """Matches one field with what ends it."""
        separator, quote, escape = (re.escape(part.encode()) for part in (self.separator, self.quote, self.escape))
        plain = b"[^%s\r\n]*+" % separator
        inside = b"(?:[^%s%s]++|%s.|%s%s)*+" % (quote, escape, escape, quote, quote)
        if escape == quote:
            inside = b"(?:[^%s]++|%s%s)*+" % (quote, quote, quote)
        field = b"%s(?P<inside>%s)%s(?P<after>%s)|(?P<plain>%s)" % (quote, inside, quote, plain, plain)
        return re.compile(b"(?:%s)(?P<end>%s|\r\n|\n|\r|\\Z)" % (field, separator), re.DOTALL)


@dataclass(frozen=True, slots=True)
class CsvRecord:
    """One record and the line it starts at."""

    line: int
    fields: tuple[str, ...]


def walk_csv(path: Path, dialect: CsvDialect, *, name: str, limits: IngestLimits) -> Iterator[CsvRecord]:
    """All records; raises where a quote never closes or a field is too long."""
    if path.stat().st_size == 0:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        walk = _Walk(text, dialect, name=name, limits=limits)
        while not walk.at_end():
            if not walk.skip_blank_line():
                yield walk.record()


def header_of(path: Path, dialect: CsvDialect, *, name: str, limits: IngestLimits) -> tuple[CsvRecord | None, int]:
    """The first record, and the byte where the others begin."""
    if path.stat().st_size == 0:
        return None, 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        walk = _Walk(text, dialect, name=name, limits=limits)
        while not walk.at_end():
            if not walk.skip_blank_line():
                return walk.record(), walk.place
        return None, walk.place


class _Walk:
    def __init__(self, text: mmap.mmap, dialect: CsvDialect, *, name: str, limits: IngestLimits) -> None:
        self._text = text
        self._pattern = dialect.pattern()
        self._blank = re.compile(b"\r\n|\n|\r")
        self._quote = dialect.quote.encode()
        self._separator = dialect.separator.encode()
        self._escaped = re.compile(re.escape(dialect.escape) + "(.)", re.DOTALL)
        self._escape = dialect.escape
        self._name = name
        self._limits = limits
        self.place = len(codecs.BOM_UTF8) if text[: len(codecs.BOM_UTF8)] == codecs.BOM_UTF8 else 0
        self._line = 1

    def at_end(self) -> bool:
        return self.place >= len(self._text)

    def skip_blank_line(self) -> bool:
        """Step over a line without anything; a pair of quotes is something."""
        blank = self._blank.match(self._text, self.place)
        if blank is None:
            return False
        self.place = blank.end()
        self._line += 1
        return True

    def record(self) -> CsvRecord:
        line, fields = self._line, []
        while True:
            match = self._field(line)
            fields.append(self._value(match))
            if match["end"] != self._separator:
                return CsvRecord(line, tuple(fields))

    def _field(self, line: int) -> re.Match[bytes]:
        match = self._pattern.match(self._text, self.place)
        if match is None:
            raise BadInputError(f"{self._name}, line {line}: no CSV")
        if match.end() - match.start() > self._limits.max_record_bytes:
            raise TooLargeError(f"{self._name}, line {line}: a field longer than {self._limits.max_record_bytes} bytes")
        if match["plain"] is not None and match["plain"].startswith(self._quote):
            raise BadInputError(f"{self._name}, line {line}: unclosed quote: the record has no end")
        self.place = match.end()
        self._line += (match["inside"] or b"").count(b"\n") + (match["end"] in (b"\n", b"\r\n", b"\r"))
        return match

    def _value(self, match: re.Match[bytes]) -> str:
        if match["plain"] is not None:
            return match["plain"].decode(errors="replace")
        text = match["inside"].decode(errors="replace")
        quote = self._quote.decode()
        if quote in text:
            text = text.replace(quote + quote, quote) if self._escape == quote else self._unquoted(text, quote)
        elif self._escape in text:
            text = self._escaped.sub(r"\1", text)
        return text + match["after"].decode(errors="replace")

    def _unquoted(self, text: str, quote: str) -> str:
        either = re.compile(f"{re.escape(self._escape)}(.)|({re.escape(quote)}){re.escape(quote)}", re.DOTALL)
        return either.sub(lambda match: match[1] or match[2], text)
