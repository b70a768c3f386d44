"""Names of CSV columns where a header gives some twice or not at all."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.csv_inference import column_names
from kamu_assets.coordinator.ingest.read.csv_records import CsvDialect, header_of
from kamu_assets.coordinator.ingest.read.input_file import InputFile


def names_each_once(header: Sequence[str]) -> bool:
    """Whether every column can be told from the others by its name."""
    return len(set(header)) == len(header)


def unique_names(header: Sequence[str]) -> list[str]:
    """A name for each column: the second `a` is `a_2`, one without a name is called by its place."""
    names = column_names(header)
    taken, seen = set(names), Counter[str]()
    for place, name in enumerate(names):
        seen[name] += 1
        number = seen[name]
        if number == 1:
            continue
        while f"{name}_{number}" in taken:
            number += 1
        names[place] = f"{name}_{number}"
        taken.add(names[place])
    return names


def with_header(
    file: InputFile, dialect: CsvDialect, names: Sequence[str], *, copy: Path, limits: IngestLimits
) -> InputFile:
    """The same records under another header."""
    _, end = header_of(file.path, dialect, name=file.name, limits=limits)
    with file.path.open("rb") as source, copy.open("wb") as target:
        quote, separator = dialect.quote, dialect.separator
        target.write(separator.join(f"{quote}{_escaped(name, dialect)}{quote}" for name in names).encode() + b"\n")
        source.seek(end)
        shutil.copyfileobj(source, target)
    return InputFile(copy, file.name, file.unit)


def _escaped(name: str, dialect: CsvDialect) -> str:
    quote, escape = dialect.quote, dialect.escape
    text = name if escape == quote else name.replace(escape, escape * 2)
    return text.replace(quote, quote * 2)
