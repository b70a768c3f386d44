"""Whose slice is to blame when data cannot be read, or must not be computed with (ODF: Data Slice)."""

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.errors import DamagedSliceError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.engines.slices.errors import SliceError
from kamu_assets.errors import KamuError
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.multihash import Multihash

# How the readers of files begin to complain; what a query says of its values begins otherwise.
_OF_A_FILE: Final = re.compile(
    r"(?:the query failed: )?"
    r"(?:Parquet|Invalid Parquet|Failed to fetch metadata|No files found|External|Arrow: |EOF|Object|Generic)"
)
_PATIENCE_SECONDS: Final = 5.0
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredSlice:
    """A slice of a dataset, or another file with bytes of its name, and where it is kept."""

    alias: DatasetAlias
    name: Multihash
    location: str
    # Where the block is that names it; no more is known of files whose block is not told.
    block: str | None = None
    what: str = "data slice"

    def is_untouched(self) -> bool:
        """Whether it is as it was when its block was written, by the file system's word (stat(2): st_ctime).

        Whoever changes a byte changes that time, and cannot set it back. Files that were brought in some other order,
        by a restored backup for one, are not known to be untouched.
        """
        if self.block is None:
            return False
        try:
            return Path(self.location).stat().st_ctime_ns <= Path(self.block).stat().st_ctime_ns
        except OSError:
            return False


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


@contextmanager
def rewrites_told(chains: Chains, read: Callable[[], Iterable[tuple[DatasetEntry, Multihash]]]) -> Iterator[None]:
    """Raise ChainReplacedError where a file may have gone with its chain; `read` are datasets, as of blocks."""
    try:
        yield
    except KamuError as error:
        if isinstance(error, SliceError | DamagedSliceError) or _OF_A_FILE.match(str(error)):
            for entry, head in read():
                chains.tell_if_replaced(entry, head, error)
        raise


@contextmanager
def slices_checked(slices: Sequence[StoredSlice]) -> Iterator[None]:
    """Raise DamagedSliceError after the work unless all that it reads is what was committed.

    Files that readers can read may hold other values all the same. Those that were touched are hashed while the work
    is done: hashing all would take longer than most work does.
    """
    touched = [each for each in slices if not each.is_untouched()]
    if not touched:
        yield
        return
    stop = threading.Event()
    with ThreadPoolExecutor(1, "slices-checked") as beside:
        checking = beside.submit(_first_fault, touched, stop)
        try:
            yield
        except KamuError as error:
            stop.set()
            if fault := checking.result():
                raise fault from error
            raise
        except BaseException:
            stop.set()
            raise
        if fault := checking.result():
            raise fault


def _first_fault(slices: Iterable[StoredSlice], stop: threading.Event) -> DamagedSliceError | None:
    faults = ((each, _fault_of(each, stop)) for each in slices)
    return next((_error(each, fault) for each, fault in faults if fault), None)


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
    return next((_error(each, fault) for each, fault in faults if fault), error)


def _error(each: StoredSlice, fault: str) -> DamagedSliceError:
    return DamagedSliceError(each.alias, each.name, fault, what=each.what)


def _within(slices: Iterable[StoredSlice], seconds: float) -> Iterable[StoredSlice]:
    deadline = time.monotonic() + seconds
    for each in slices:
        if time.monotonic() > deadline:
            return
        yield each


def _fault_of(each: StoredSlice, stop: threading.Event | None = None) -> str | None:
    """What is wrong with it; of one that is elsewhere, or whose hashing is stopped, nothing is known."""
    if "://" in each.location:
        return None
    hashing = hashlib.sha3_256()
    try:
        with Path(each.location).open("rb") as file:
            while chunk := file.read(_CHUNK):
                if stop is not None and stop.is_set():
                    return None
                hashing.update(chunk)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return None if hashing.digest() == each.name.digest else "is damaged"
