"""Which sidecar an ingest may use and renew: a plain value that travels between processes."""

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha3_256
from pathlib import Path
from typing import Final

from kamu_assets.errors import InvalidError
from kamu_assets.odf.multihash import Multihash

MANIFEST_SUFFIX: Final = ".json"


class Contents(StrEnum):
    """What a sidecar holds: the first two are for merges."""

    # All keys ever seen.
    KEYS = "keys"
    # Of each key the newest row, and whether it was retracted.
    STATE = "state"
    # Of each slice the smallest and largest offset, system time, event time and key.
    STATISTICS = "statistics"


@dataclass(frozen=True, slots=True)
class SidecarUse:
    """Where the sidecars of a dataset are, and how far they can be trusted."""

    folder: Path
    # The history that the ingest builds upon, and the first offset after it.
    head: Multihash
    next_offset: int
    # An ancestor of `head`, or `head` itself, that has a sidecar; the slices after it have offsets from here on.
    base: Multihash | None = None
    base_offset: int = 0


def shelf_name(contents: Contents, key: Sequence[str]) -> str:
    """The folder, within a dataset's, of sidecars that answer the same question."""
    return f"{contents}-{sha3_256(json.dumps(list(key)).encode()).hexdigest()[:16]}"


def manifest_path(shelf: Path, head: Multihash) -> Path:
    """Where the sidecar of a head says what it is made of."""
    return shelf / f"{head}{MANIFEST_SUFFIX}"


def known_heads(shelf: Path) -> list[Multihash]:
    """The heads for which there are sidecars."""
    heads = []
    for path in shelf.glob(f"*{MANIFEST_SUFFIX}"):
        with contextlib.suppress(InvalidError):
            heads.append(Multihash.parse(path.stem))
    return heads
