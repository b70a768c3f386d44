"""JSON documents as lines: an array inside a document becomes one record per line, byte for byte."""

import codecs
import gc
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from kamu_assets.coordinator.ingest.errors import BadInputError
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.json_scanner import JsonText

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


@contextmanager
def json_text(path: Path, *, name: str, limits: IngestLimits) -> Iterator[JsonText]:
    """A file that is known to be UTF-8, opened as JSON."""
    # Millions of small lists make the search for cycles most of the work, and JSON has none.
    collecting = gc.isenabled()
    gc.disable()
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            yield JsonText(file, name=name, limits=limits)
    finally:
        if collecting:
            gc.enable()


def one_line(text: str) -> str:
    """The same JSON without line breaks, which can only stand between its tokens."""
    return text.translate(_LINE_BREAKS)


def array_to_ndjson(path: Path, sub_path: str | None, *, target: Path, name: str, limits: IngestLimits) -> None:
    """Write the array at a dotted path (default: the whole document) as lines.

    Values are copied as text, so that no digit is lost on the way.
    """
    keys = tuple(sub_path.split(".")) if sub_path else ()
    with json_text(path, name=name, limits=limits) as text, target.open("w", encoding="utf-8", newline="") as file:
        cut = _Cut(text, file, name, sub_path)
        cut.below(keys)
        text.end()
        if not cut.found:
            raise BadInputError(f"{name}: sub-path `{sub_path}` not found")


@dataclass
class _Cut:
    """Looks for the array and writes its elements."""

    text: JsonText
    file: TextIO
    name: str
    sub_path: str | None
    found: bool = False

    def below(self, keys: tuple[str, ...]) -> None:
        if not keys:
            self._write()
        elif self.text.peek() == "{":
            self._look_into(keys)
        else:
            self.text.skip()

    def _look_into(self, keys: tuple[str, ...]) -> None:
        seen = False
        for key in self.text.members():
            if key != keys[0]:
                self.text.skip()
                continue
            if seen:
                raise BadInputError(
                    f"{self.name}, line {self.text.line}: key `{key}` of sub-path `{self.sub_path}` is there twice"
                )
            seen = True
            self.below(keys[1:])

    def _write(self) -> None:
        if self.text.peek() != "[":
            self.text.skip()
            place = f"sub-path `{self.sub_path}`" if self.sub_path else "the root"
            raise BadInputError(f"{self.name}: expected an array at {place}")
        self.found = True
        for _ in self.text.elements():
            self.file.write(one_line(self.text.value().text))
            self.file.write("\n")
