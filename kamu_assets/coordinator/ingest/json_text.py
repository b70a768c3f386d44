"""JSON documents as lines: an array inside a document becomes one record per line, byte for byte."""

import codecs
import json
import re
import shutil
from pathlib import Path

from kamu_assets.coordinator.ingest.errors import BadInputError

_BLANK = re.compile(r"[ \t\r\n]*")
_LINE_BREAKS = str.maketrans("\r\n", "  ")


def without_bom(path: Path, scratch: Path) -> Path:
    """The file, or a copy in `scratch` that lacks the byte-order mark."""
    with path.open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            return path
        copy = scratch / "without-bom"
        with copy.open("wb") as target:
            shutil.copyfileobj(file, target)
    return copy


def array_to_ndjson(path: Path, sub_path: str | None, *, name: str, scratch: Path) -> Path:
    """Write the array at a dotted path (default: the whole document) as lines, into a file in `scratch`.

    Values are copied as text, so that no digit is lost on the way.
    """
    text = path.read_text(encoding="utf-8-sig")
    target = scratch / "array.ndjson"
    try:
        start = _find(_Cursor(text), sub_path.split(".") if sub_path else [], name, sub_path)
        _write_array(_Cursor(text, start), target, name, sub_path)
    except json.JSONDecodeError as error:
        raise BadInputError(f"{name}, line {error.lineno}, column {error.colno}: no JSON: {error.msg}") from error
    return target


class _Cursor:
    """A place in a JSON text."""

    def __init__(self, text: str, place: int = 0) -> None:
        self.text = text
        self._decoder = json.JSONDecoder()
        self.place = place
        self.blank()

    def blank(self) -> None:
        match = _BLANK.match(self.text, self.place)
        self.place = match.end() if match else self.place

    def peek(self) -> str:
        return self.text[self.place : self.place + 1]

    def expect(self, characters: str, what: str) -> str:
        found = self.peek()
        if not found or found not in characters:
            raise json.JSONDecodeError(f"expected {what}", self.text, self.place)
        self.place += 1
        self.blank()
        return found

    def value(self) -> tuple[object, int]:
        """Step over one value; gives it and where it ended."""
        found, end = self._decoder.raw_decode(self.text, self.place)
        self.place = end
        self.blank()
        return found, end


def _find(cursor: _Cursor, keys: list[str], name: str, sub_path: str | None) -> int:
    for key in keys:
        if cursor.peek() != "{":
            raise BadInputError(f"{name}: sub-path `{sub_path}` not found")
        cursor.expect("{", "an object")
        while cursor.peek() != "}":
            found, _ = cursor.value()
            cursor.expect(":", "':'")
            if found == key:
                break
            cursor.value()
            if cursor.peek() == ",":
                cursor.expect(",", "','")
        else:
            raise BadInputError(f"{name}: sub-path `{sub_path}` not found")
    return cursor.place


def _write_array(cursor: _Cursor, target: Path, name: str, sub_path: str | None) -> None:
    if cursor.peek() != "[":
        cursor.value()
        raise BadInputError(f"{name}: expected an array at {f'sub-path `{sub_path}`' if sub_path else 'the root'}")
    cursor.expect("[", "an array")
    with target.open("w", encoding="utf-8") as file:
        more = cursor.peek() != "]" or not cursor.expect("]", "']'")
        while more:
            start = cursor.place
            _, end = cursor.value()
            file.write(cursor.text[start:end].translate(_LINE_BREAKS))
            file.write("\n")
            more = cursor.expect(",]", "',' or ']'") == ","
    if sub_path is None and cursor.peek():
        raise json.JSONDecodeError("extra data after the array", cursor.text, cursor.place)
