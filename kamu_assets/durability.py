"""When a write counts as done."""

from enum import StrEnum


class Durability(StrEnum):
    """What a finished write has survived."""

    # A power cut: files, folders and the SQL log are synced before the write returns.
    FULL = "full"
    # A crash of the process: the operating system syncs when it likes.
    FAST = "fast"
