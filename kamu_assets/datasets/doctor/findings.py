"""What the doctor found and did."""

from dataclasses import dataclass
from enum import StrEnum

from kamu_assets.odf.identity import DatasetID


class FindingKind(StrEnum):
    """Sorts of trouble."""

    # Files of a deleted dataset were still there.
    UNFINISHED_REMOVAL = "unfinished_removal"
    # The store holds a dataset that the registry does not know.
    UNREGISTERED = "unregistered"
    # `refs/head` does not say what SQL says, or SQL says nothing.
    HEAD = "head"
    # `info/alias` does not say the dataset's name.
    ALIAS = "alias"
    # Block index, statistics or inputs do not say what the blocks say.
    ROWS = "rows"
    # Blocks or objects are missing or not what they must be: restore them from elsewhere.
    DAMAGED = "damaged"
    # Files of interrupted writers.
    LEFTOVERS = "leftovers"
    # Files that no block of the chain names: kept, an interrupted or refused commit leaves them.
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One trouble, in words, and whether it is gone now."""

    kind: FindingKind
    dataset: DatasetID | None
    message: str
    repaired: bool
