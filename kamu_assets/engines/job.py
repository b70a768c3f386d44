"""What a worker is given to compute."""

from dataclasses import dataclass

from kamu_assets.engines.engine import RawQueryRequest, TransformRequest
from kamu_assets.engines.slices.facts import Encodings


@dataclass(frozen=True)
class TransformJob:
    """A request with what the node decides."""

    request: TransformRequest
    encodings: Encodings
    memory_bytes: int
    # Hash the rows and write no file, where that can be.
    hash_only: bool = False


@dataclass(frozen=True)
class RawQueryJob:
    request: RawQueryRequest
    memory_bytes: int
