"""JSON texts of any length, value by value: what lies behind is forgotten (RFC 8259)."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TextIO

from kamu_assets.coordinator.ingest.errors import BadInputError, IngestError, TooLargeError
from kamu_assets.coordinator.ingest.explain.guilty_record import shown
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.nesting import check_nesting

_WINDOW = 1 << 20
_BLANK = re.compile(r"[ \t\r\n]*")
# An error so close to the end of what was read may be one of not having read on.
_NEAR = 16
_SHOWN = 60
_UNENDED = "Unterminated string"
_OF_NUMBERS = "0123456789.eE+-"


class _NoNumberError(ValueError):
    """NaN and infinities are words of JavaScript, not of JSON."""


def _refuse_constant(word: str) -> None:
    raise _NoNumberError(word)


DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


@dataclass(frozen=True, slots=True)
class JsonValue:
    """One value, its text and the line it starts at."""

    line: int
    text: str
    value: Any


class JsonText:
    """A place in a JSON text. A single value is held as a whole and therefore limited."""

    def __init__(self, file: TextIO, *, name: str, limits: IngestLimits) -> None:
        self._file = file
        self._name = name
        self._limits = limits
        self._text = ""
        self._place = 0
        # How much of the line at hand lies before the text at hand.
        self._before = 0
        self._leapt_in = ""
        self.line = 1

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            match = _BLANK.match(self._text, self._place)
            self._go_to(match.end() if match else self._place)
            if self._place < len(self._text) or not self._read_on():
                return self._text[self._place : self._place + 1]

    def ahead(self) -> str:
        """What comes next, as far as it is worth showing, up to the end of the line."""
        self.peek()
        return self._text[self._place : self._place + _SHOWN].split("\n", 1)[0].rstrip("\r")

    def take(self, characters: str, what: str) -> str:
        """Step over one of some characters."""
        found = self.peek()
        if not found or found not in characters:
            raise self._malformed(f"expected {what}", self._place)
        self._place += 1
        return found

    def value(self) -> JsonValue:
        """Step over one value."""
        self.peek()
        while True:
            found = self._decoded()
            if found is not None:
                return self._taken(*found)

    def skip(self, level: int = 1) -> None:
        """Step over one value of any length."""
        opening = self.peek()
        if level > self._limits.max_nesting:
            raise self._too_deep()
        if opening not in ("{", "["):
            self.value()
            return
        try:
            self._go_to(DECODER.raw_decode(self._text, self._place)[1])
        except (ValueError, RecursionError):
            # Too long for what was read, or wrong: its parts will tell.
            for part in self.members() if opening == "{" else self.elements():
                if isinstance(part, str) or not self._leap():
                    self.skip(level + 1)

    def members(self) -> Iterator[str]:
        """The keys of an object; whoever takes one steps over its value before the next."""
        self.take("{", "an object")
        more = self.peek() != "}" or not self.take("}", "'}'")
        while more:
            self.peek()
            start, key = self._place, self.value().value
            if not isinstance(key, str):
                raise self._malformed("expected a key in double quotes", start)
            self.take(":", "':'")
            yield key
            more = self.take(",}", "',' or '}'") == ","

    def elements(self) -> Iterator[int]:
        """The numbers of the elements of an array, from 0; whoever takes one steps over it before the next."""
        self.take("[", "an array")
        more = self.peek() != "]" or not self.take("]", "']'")
        number = 0
        while more:
            yield number
            number += 1
            more = self.take(",]", "',' or ']'") == ","

    def end(self) -> None:
        """Nothing may follow."""
        if self.peek():
            raise self._malformed("extra data after the end", self._place)

    def _leap(self) -> bool:
        """Step over as many elements of an array at once as the text at hand holds; tried once for each text."""
        if self._leapt_in is self._text:
            return False
        self._leapt_in = self._text
        for last in ("},", "],", ","):
            stop = self._text.rfind(last, self._place) + len(last) - 1
            try:
                if stop > self._place and DECODER.decode(f"[{self._text[self._place : stop]}]"):
                    self._go_to(stop)
                    return True
            except (ValueError, RecursionError):
                # The comma stands inside of something.
                continue
        return False

    def _decoded(self) -> tuple[Any, int] | None:
        """A value and where it ends; None when more was read and it is to be tried again."""
        try:
            found, end = DECODER.raw_decode(self._text, self._place)
        except json.JSONDecodeError as error:
            if self._read_on(error):
                return None
            unended = error.msg.startswith(_UNENDED)
            raise self._malformed(error.msg, len(self._text) if unended else error.pos) from error
        except RecursionError as error:
            raise self._too_deep() from error
        except _NoNumberError as error:
            raise self._malformed(f"{error} is not a number in JSON", self._find(str(error))) from error
        except ValueError as error:
            # Python refuses integers of thousands of digits.
            raise TooLargeError(f"{self._name}, line {self.line}: a number of thousands of digits") from error
        if self._may_go_on(end) and self._read_on():
            return None
        return found, end

    def _may_go_on(self, end: int) -> bool:
        """Whether a number was cut by the end of what was read."""
        return (
            end > len(self._text) - _NEAR
            and self._text[end - 1] not in '}]"'
            and not self._text[end:].strip(_OF_NUMBERS)
        )

    def _find(self, word: str) -> int:
        """Where a word is that stands in no string."""
        tokens = re.compile(rf'"(?:[^"\\]++|\\.)*+"|{word}').finditer(self._text, self._place)
        return next((token.start() for token in tokens if token[0] == word), self._place)

    def _taken(self, value: Any, end: int) -> JsonValue:
        self._check_length(end - self._place)
        line, text = self.line, self._text[self._place : end]
        if text.count("{") + text.count("[") > self._limits.max_nesting:
            check_nesting(text.encode(errors="replace"), where=self._name, line=line, limits=self._limits)
        self._go_to(end)
        return JsonValue(line, text, value)

    def _go_to(self, place: int) -> None:
        self.line += self._text.count("\n", self._place, place)
        self._place = place

    def _read_on(self, error: json.JSONDecodeError | None = None) -> bool:
        """Read as much again as is held; False at the end, or where reading on cannot help."""
        held = len(self._text) - self._place
        if error is not None and error.pos < len(self._text) - _NEAR and not error.msg.startswith(_UNENDED):
            return False
        self._check_length(held)
        more = self._file.read(max(_WINDOW, held))
        if more:
            self._before = self._column(self._place) - 1
            self._text = self._text[self._place :] + more
            self._place = 0
        return bool(more)

    def _column(self, place: int) -> int:
        """Counted from 1."""
        newline = self._text.rfind("\n", 0, place)
        return place - newline + (self._before if newline < 0 else 0)

    def _check_length(self, size: int) -> None:
        limit = self._limits.max_record_bytes
        if size > limit:
            raise TooLargeError(f"{self._name}, line {self.line}: a value longer than {limit} bytes")

    def _malformed(self, reason: str, place: int) -> IngestError:
        self._go_to(min(place, len(self._text)))
        if place >= len(self._text):
            return BadInputError(f"{self._name}, line {self.line}: the file ends in the middle of a record: {reason}")
        column = self._column(place)
        near = self._text[max(place - 10, 0) : place + 20].replace("\n", " ")
        return BadInputError(f"{self._name}, line {self.line}, position {column}: no JSON: {reason} near {shown(near)}")

    def _too_deep(self) -> IngestError:
        return TooLargeError(f"{self._name}, line {self.line}: nested deeper than {self._limits.max_nesting} levels")


def json_values(text: JsonText) -> Iterator[JsonValue]:
    """Values one after another, with nothing but blanks between them."""
    while text.peek():
        yield text.value()
