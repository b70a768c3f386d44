"""Zipped shapefiles, written by pyshp, and whatever else shall be in the archive."""

import io
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import shapefile  # type: ignore[import-untyped]  # pyshp comes without types

# Of pyshp.
Writer = Any
Draw = Callable[[Writer], None]


def layer(draw: Draw, *, stem: str = "layer", encoding: str = "utf-8") -> dict[str, bytes]:
    """The files of a layer."""
    parts = {ending: io.BytesIO() for ending in ("shp", "shx", "dbf")}
    with shapefile.Writer(**parts, encoding=encoding) as writer:
        draw(writer)
        writer.balance()
    return {f"{stem}.{ending}": part.getvalue() for ending, part in parts.items()}


def zipped(files: Mapping[str, bytes]) -> bytes:
    """An archive of files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def two_points(writer: Writer) -> None:
    """A layer with a text and a number."""
    writer.field("NAME", "C", 20)
    writer.field("POP", "N", 18, 0)
    for name, population in (("Alpha", 123_456_789_012_345_678), ("Beta", None)):
        writer.point(1.5, -2)
        writer.record(name, population)
