"""Hashes of answers. Documents take many times their bytes while they are hashed: their size and number is bounded."""

import json
import threading
from typing import Final

from kamu_assets.errors import InvalidError
from kamu_assets.odf.commitments import hash_json
from kamu_assets.odf.multihash import Multihash

MAX_BYTES: Final = 16 << 20
_AT_ONCE: Final = threading.BoundedSemaphore(2)


class AnswerTooLargeToSignError(InvalidError):
    """Nobody waits for the hash of so large an answer."""

    def __init__(self, size: int) -> None:
        super().__init__(
            f"the answer has {size / (1 << 20):.1f} MiB, and with a proof at most {MAX_BYTES >> 20}:"
            " ask for fewer rows or columns, or without `Proof`"
        )
        self.size = size


def hash_of_output(output: bytes) -> Multihash:
    """What a commitment says of an answer; AnswerTooLargeToSignError."""
    if len(output) > MAX_BYTES:
        raise AnswerTooLargeToSignError(len(output))
    with _AT_ONCE:
        return hash_json(json.loads(output))
