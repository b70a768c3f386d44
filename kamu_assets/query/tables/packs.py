"""Small slices put together, for reading only: a query pays for every file that it opens.

A pack holds the rows of slices that follow each other. It is named by them, by the columns it was made with and by its
own hash: what a crash leaves half written is noticed, and nothing is synced. Packs can be removed at any time; what is
missing is made again.
"""

import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import datafusion
import pyarrow as pa

from kamu_assets.engines.session import quoted, session
from kamu_assets.engines.slices.listing import ipc_schema, listing
from kamu_assets.engines.slices.writer import write_slice
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.query.tables.pack_plan import Piece, SliceFile, pieces_of

# The first query after many slices came does not wait for all packs of them.
_SECONDS_AT_ONCE: Final = 0.5
_BENCH_BYTES: Final = 256 << 20
_UNUSED_SECONDS: Final = 86_400.0
_ABANDONED_SECONDS: Final = 3_600.0

# Of this process: packs whose content was looked at, with size and time of then, and such that cannot be made.
_CHECKED: dict[Path, tuple[int, int]] = {}
_HOPELESS: set[tuple[Path, str]] = set()


# Where it is, and how many rows it has.
_File = tuple[Path, int]


@dataclass(frozen=True)
class Packing:
    """The files to read, oldest first, how many rows each has, and whether all packs that should be there are."""

    locations: tuple[str, ...]
    records: tuple[int, ...]
    is_complete: bool

    @classmethod
    def of_slices(cls, slices: Sequence[SliceFile]) -> Self:
        """The slices themselves."""
        return cls(tuple(each.location for each in slices), tuple(each.records for each in slices), is_complete=True)


class Packs:
    """The packs of a dataset with these columns."""

    def __init__(self, folder: Path, schema: pa.Schema, vocab: DatasetVocabulary) -> None:
        self._folder = folder
        self._schema = schema
        self._vocab = vocab
        self._columns = hashlib.sha3_256(ipc_schema(schema)).hexdigest()[:8]
        self._there = dict(self._known())
        self._has_made = False
        self._deadline = time.monotonic() + _SECONDS_AT_ONCE

    def packing(self, slices: Sequence[SliceFile]) -> Packing:
        """Packs where there can be some, slices otherwise."""
        found: list[_File] = []
        is_complete = True
        for piece in pieces_of(slices):
            files = list(self._files(piece))
            is_complete = is_complete and (len(files) == 1 or (self._folder, self._name(piece)) in _HOPELESS)
            found.extend(files)
        used = {path for path, _ in found}
        for path in used:
            if path.parent == self._folder:
                _note_use(path)
        if self._has_made:
            self._sweep(used)
        return Packing(tuple(str(path) for path, _ in found), tuple(records for _, records in found), is_complete)

    def _files(self, piece: Piece) -> Iterator[_File]:
        pack = self._known_pack(piece) or (self._new_pack(piece) if piece.parts else None)
        if pack is not None:
            yield pack, piece.records
            return
        yield from self._parts(piece)

    def _parts(self, piece: Piece) -> Iterator[_File]:
        """What is there already of which a pack can be made."""
        if not piece.parts:
            yield Path(piece.slices[0].location), piece.records
        for part in piece.parts:
            pack = self._known_pack(part)
            yield from self._parts(part) if pack is None else ((pack, part.records),)

    def _known_pack(self, piece: Piece) -> Path | None:
        known = self._there.get(self._name(piece)) if piece.parts else None
        return known if known is not None and _is_whole(known) else None

    def _new_pack(self, piece: Piece) -> Path | None:
        name = self._name(piece)
        if (self._folder, name) in _HOPELESS or time.monotonic() > self._deadline:
            return None
        try:
            self._there[name] = made = self._make(piece)
        except Exception:  # noqa: BLE001 - slices can be read without packs, and say themselves what is wrong with them
            _HOPELESS.add((self._folder, name))
            return None
        self._has_made = True
        return made

    def _make(self, piece: Piece) -> Path:
        parts = [str(path) for path, _ in self._parts(piece)]
        self._folder.mkdir(parents=True, exist_ok=True)
        pending = self._folder / f".{secrets.token_hex(8)}"
        offset = self._vocab.offset_column
        context = session("packs", memory_bytes=_BENCH_BYTES, partitions=1)
        frame = listing(context, parts, schema=self._schema, sorted_by=offset)
        rows = frame.sort(datafusion.col(quoted(offset)).sort()).execute_stream()
        stats = write_slice(pending, self._schema, (batch.to_pyarrow() for batch in rows), vocab=self._vocab)
        if stats.num_records != piece.records:
            pending.unlink()
            raise ValueError(f"{stats.num_records} rows in slices of {piece.records}")
        path = self._folder / f"{stats.physical_hash}.{self._name(piece)}"
        pending.replace(path)
        return path

    def _name(self, piece: Piece) -> str:
        return f"{piece.key}-{self._columns}"

    def _known(self) -> Iterator[tuple[str, Path]]:
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                yield path.name.partition(".")[2], path

    def _sweep(self, used: set[Path]) -> None:
        """Remove what later packs hold too, what belongs to a history that is gone, and what was interrupted."""
        now = time.time()
        for path in [path for _, path in self._known() if path not in used]:
            patience = _ABANDONED_SECONDS if path.name.startswith(".") else _UNUSED_SECONDS
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < now - patience:
                    path.unlink()


def _note_use(path: Path) -> None:
    """By their times packs tell who sweeps that somebody reads them, the past of a dataset for one."""
    with contextlib.suppress(OSError):
        if path.stat().st_mtime < time.time() - _UNUSED_SECONDS / 2:
            os.utime(path)


def forget_packs() -> None:
    """Look at the content of every pack again."""
    _CHECKED.clear()


def _is_whole(path: Path) -> bool:
    """Whether a pack is what its name says."""
    try:
        found = path.stat()
        state = found.st_size, found.st_mtime_ns
        if _CHECKED.get(path) != state:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, hashlib.sha3_256).hexdigest()
            if not path.name.startswith(f"f1620{digest}."):
                return False
            _CHECKED[path] = state
    except OSError:
        return False
    return True
