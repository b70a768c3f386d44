"""Which small slices are put together: decided by their order and sizes alone, so that more slices change nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha3_256
from typing import Final, NamedTuple

FAN: Final = 8
# What is larger than this is not gathered: slices, then packs of 8 and of 64 slices, by the sizes of those. To open a
# file takes a query about as long as to read so much of it.
_SMALL: Final = (256 << 10, 1 << 20, 2 << 20)


class SliceFile(NamedTuple):
    """A slice as a reader needs it."""

    location: str
    size: int
    records: int


@dataclass(frozen=True)
class Piece:
    """A slice, or what is to be read as one."""

    slices: tuple[SliceFile, ...]
    parts: tuple["Piece", ...] = ()

    @cached_property
    def size(self) -> int:
        return sum(each.size for each in self.slices)

    @cached_property
    def records(self) -> int:
        return sum(each.records for each in self.slices)

    @cached_property
    def key(self) -> str:
        """Named by the slices, which are named by what is in them."""
        names = [each.location.rpartition("/")[2] for each in self.slices]
        return sha3_256("\n".join(names).encode()).hexdigest()


def pieces_of(slices: Sequence[SliceFile]) -> Sequence[Piece]:
    """Slices that follow each other and are small, as many as make a pack; then packs in the same way."""
    pieces: Sequence[Piece] = [Piece((each,)) for each in slices]
    for level, most in enumerate(_SMALL):
        pieces = list(_gathered(pieces, members=FAN**level, most=most))
    return pieces


def _gathered(pieces: Sequence[Piece], *, members: int, most: int) -> Iterator[Piece]:
    run: list[Piece] = []
    for piece in pieces:
        if len(piece.slices) != members or piece.size > most:
            yield from run
            run = []
            yield piece
            continue
        run.append(piece)
        if len(run) == FAN:
            yield Piece(tuple(each for part in run for each in part.slices), tuple(run))
            run = []
    yield from run
