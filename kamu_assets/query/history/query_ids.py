"""Ids of queries: UUIDs of version 7 (RFC 9562, section 5.7), which sort by time.

So pages of the history, and what is too old for it, are ranges of its primary key.
"""

import os
from uuid import UUID

from kamu_assets.odf.timestamp import Timestamp

_RANDOM_BYTES = 10


def new_id(moment: Timestamp) -> str:
    """The id of a query that comes now."""
    return _id(moment, os.urandom(_RANDOM_BYTES))


def first_id(moment: Timestamp) -> str:
    """No id of this millisecond or later comes before it."""
    return _id(moment, bytes(_RANDOM_BYTES))


def _id(moment: Timestamp, rest: bytes) -> str:
    millis = max(0, moment.millis)
    version, variant = 0x70 | rest[0] & 0x0F, 0x80 | rest[2] & 0x3F
    return str(UUID(bytes=millis.to_bytes(6, "big") + bytes((version, rest[1], variant)) + rest[3:]))
