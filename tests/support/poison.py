"""Files that are broken, forged or meant to hurt, made by code; and what has to become of each.

`HEAVY` ones take long to make or to refuse: only `make faults` feeds them. What is large is made when it is written:
every process that runs tests knows all of them, and keeps what it has imported.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kamu_assets.errors import KamuError
from kamu_assets.odf.data import DataField, DataSchema, DataType, Int64Type, OptionType, StringType
from kamu_assets.odf.source import CompressionFormat, ReadStep

MIB = 1 << 20
Data = bytes | Callable[[], bytes]


@dataclass(frozen=True)
class Poison:
    """One file, how it is read, and how that has to end."""

    read: ReadStep
    # Writes the file.
    write: Callable[[Path], None]
    # The exact class of the refusal, or None when the file is taken.
    refusal: type[KamuError] | None
    # Words of the refusal.
    words: str = ""
    # How many rows come of it when it is taken.
    records: int = 0
    # How a source unpacks it; such a file is not pushed.
    unpack: CompressionFormat | None = None
    heavy: bool = False


def made(data: Data) -> bytes:
    """The bytes."""
    return data if isinstance(data, bytes) else data()


def content(data: Data) -> Callable[[Path], None]:
    """Writes these bytes."""

    def write(path: Path) -> None:
        path.write_bytes(made(data))

    return write


def made_elsewhere(make: Callable[[], bytes]) -> Callable[[Path], None]:
    """Writes what takes much memory to make, in a process that takes the memory with it."""

    def write(path: Path) -> None:
        maker = multiprocessing.get_context("forkserver").Process(target=_write, args=(make, path))
        maker.start()
        maker.join()
        assert maker.exitcode == 0

    return write


def _write(make: Callable[[], bytes], path: Path) -> None:
    path.write_bytes(make())


def chunks(make: Callable[[], Iterator[bytes]]) -> Callable[[Path], None]:
    """Writes bytes that are too many to be held."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.writelines(make())

    return write


def columns(**types: DataType) -> DataSchema:
    """A schema whose columns may all be null."""
    return DataSchema(fields=tuple(DataField(name=name, type=OptionType(inner=kind)) for name, kind in types.items()))


CITIES = columns(city=StringType(), population=Int64Type())


def corpus() -> Mapping[str, Poison]:
    """All of it, by name."""
    from tests.support import poison_archives, poison_csv, poison_json, poison_parquet

    return {**poison_csv.CASES, **poison_json.CASES, **poison_parquet.cases(), **poison_archives.cases()}
