"""Hashes stored objects as their names say."""

import hashlib
from collections.abc import Callable
from typing import Final

from kamu_assets.odf.multihash import Multicodec, Multihash
from kamu_assets.storage.object_store import ObjectStore

_HASHES: Final = {Multicodec.SHA3_256: hashlib.sha3_256, Multicodec.SHA2_256: hashlib.sha256}


def hashed(volume: ObjectStore, key: str, name: Multihash, *, on_chunk: Callable[[int], None]) -> Multihash:
    """The hash of an object, of the sort that its name is."""
    digest = _HASHES.get(name.codec, hashlib.sha3_256)()
    for chunk in volume.stream(key):
        on_chunk(len(chunk))
        digest.update(chunk)
    return Multihash(name.codec if name.codec in _HASHES else Multicodec.SHA3_256, digest.digest())
