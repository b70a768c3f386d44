"""Whose slice is to blame when data cannot be read: looked at only then (ODF: Data Slice)."""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kamu_assets.datasets.errors import DamagedSliceError
from kamu_assets.engines.slice_errors import SliceError
from kamu_assets.errors import KamuError
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.multihash import Multihash

# How the readers of files begin to complain; what a query says of its values begins otherwise.
_OF_A_FILE: Final = re.compile(
    r"(?:the query failed: )?"
    r"(?:Parquet|Invalid Parquet|Failed to fetch metadata|No files found|External|Arrow: |EOF|Object|Generic)"
)
_PATIENCE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class StoredSlice:
    """A slice of a dataset and where it is kept."""

    alias: DatasetAlias
    name: Multihash
    location: str


@contextmanager
def bad_slices_blamed(slices: Callable[[], Iterable[StoredSlice]]) -> Iterator[None]:
    """Tell of a failure whose slice it comes from, where it does; `slices` are those that may have been read."""
    try:
        yield
    except KamuError as error:
        told = blamed(error, slices())
        if told is error:
            raise
        raise told from error


def blamed(error: KamuError, slices: Iterable[StoredSlice], *, seconds: float = _PATIENCE_SECONDS) -> KamuError:
    """The error with the dataset of the bad slice named, or the error itself if it has another reason.

    Hashing takes about `seconds` at most: whoever waits wants an answer, and may have caused the error on purpose.
    """
    if isinstance(error, SliceError):
        found: Iterable[StoredSlice] = (each for each in slices if str(each.name) == error.name)
    elif _OF_A_FILE.match(str(error)):
        found = _within(slices, seconds)
    else:
        return error
    faults = ((each, _fault_of(each)) for each in found)
    return next((DamagedSliceError(each.alias, each.name, fault) for each, fault in faults if fault), error)


def _within(slices: Iterable[StoredSlice], seconds: float) -> Iterable[StoredSlice]:
    deadline = time.monotonic() + seconds
    for each in slices:
        if time.monotonic() > deadline:
            return
        yield each


def _fault_of(each: StoredSlice) -> str | None:
    if "://" in each.location:
        return None
    try:
        with Path(each.location).open("rb") as file:
            digest = hashlib.file_digest(file, hashlib.sha3_256).digest()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if digest == each.name.digest else "is damaged"
