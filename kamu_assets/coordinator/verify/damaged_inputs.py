"""Whether an input is to blame when a result cannot be computed again: looked at only then."""

import hashlib
from pathlib import Path

from kamu_assets.coordinator.verify.replay_request import Replay
from kamu_assets.storage.layout import data_key
from kamu_assets.storage.volumes import Volumes


def damaged_input(replay: Replay, volumes: Volumes) -> str | None:
    """Which input has a slice that is not what its name says, and which slice."""
    for part in replay.parts:
        store = volumes.for_kind(part.entry.kind)
        for each in part.interval.slices:
            key = data_key(part.entry.id, each.physical_hash)
            if not _is_whole(Path(store.location(key)), each.physical_hash.digest):
                return f"its input {part.entry.alias} is damaged (data/{each.physical_hash}): verify that first"
    return None


def _is_whole(path: Path, digest: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, hashlib.sha3_256).digest() == digest
    except OSError:
        return False
