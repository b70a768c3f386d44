"""What can be asked of a verification, and what it answers."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.multihash import Multihash

# What to do about most faults.
RESTORE = "restore it from a copy of the dataset"


class VerifyScope(StrEnum):
    """How much is looked at."""

    # Blocks, slices and checkpoints.
    INTEGRITY = "integrity"
    # The same, and every result of a transform is computed again.
    FULL = "full"


class VerdictKind(StrEnum):
    """What is wrong with an object, by the names that recordings of kamu have for it, and by a few of our own."""

    VALID = "Valid"
    BLOCK_NOT_FOUND = "BlockNotFound"
    BLOCK_MALFORMED = "BlockMalformed"
    BLOCK_HASH_MISMATCH = "BlockHashMismatch"
    OBJECT_NOT_FOUND = "ObjectNotFound"
    DATA_SIZE_MISMATCH = "DataSizeMismatch"
    DATA_PHYSICAL_HASH_MISMATCH = "DataPhysicalHashMismatch"
    DATA_LOGICAL_HASH_MISMATCH = "DataLogicalHashMismatch"
    DATA_UNREADABLE = "DataUnreadable"
    CHECKPOINT_SIZE_MISMATCH = "CheckpointSizeMismatch"
    CHECKPOINT_PHYSICAL_HASH_MISMATCH = "CheckpointPhysicalHashMismatch"
    DATA_NOT_REPRODUCIBLE = "DataNotReproducible"
    INVALID_INTERVAL = "InvalidInterval"
    ENGINE_ERROR = "EngineError"
    # `refs/head` and the registry disagree; kamu looks at the registry only.
    HEAD_MISMATCH = "HeadMismatch"
    # `info/alias` and the registry disagree; another reference names no block. kamu looks at neither.
    ALIAS_MISMATCH = "AliasMismatch"
    REFERENCE_BROKEN = "ReferenceBroken"
    CHAIN_RULE_BROKEN = "ChainRuleBroken"
    DATA_OFFSETS_MISMATCH = "DataOffsetsMismatch"
    DATA_SCHEMA_MISMATCH = "DataSchemaMismatch"
    # A row names something that cannot be one of the dataset's objects.
    INVALID_LINK = "InvalidLink"
    TRANSFORM_NOT_DEFINED = "TransformNotDefined"
    INPUT_NOT_FOUND = "InputNotFound"


class RemarkKind(StrEnum):
    """What is worth knowing of a dataset that is valid all the same."""

    # The bytes of a computed slice changed, its rows did not.
    REENCODED = "Reencoded"
    # Computed again, the rows are the same in another order, which the query leaves open.
    ROW_ORDER = "RowOrder"
    # The input was reset or compacted since: only its old blocks, still there, lead to this result.
    INPUT_REPLACED = "InputReplaced"
    # The watermark of a root is behind its newest row.
    WATERMARK_BEHIND = "WatermarkBehind"


@dataclass(frozen=True, slots=True)
class Place:
    """A block, or a file that a block names."""

    sequence_number: int | None = None
    block: Multihash | None = None
    # Relative to the dataset: `data/<hash>`.
    file: str | None = None

    def __str__(self) -> str:
        number = "" if self.sequence_number is None else f" {self.sequence_number}"
        block = f"block{number} ({self.block})" if self.block else ""
        return " of ".join(filter(None, (self.file, block)))


@dataclass(frozen=True, slots=True)
class Fault:
    """A bad object: what it must be and what it is."""

    kind: VerdictKind
    place: Place
    message: str
    expected: str | None = None
    found: str | None = None

    def __str__(self) -> str:
        where = str(self.place)
        return f"{self.kind}: {where}: {self.message}" if where else f"{self.kind}: {self.message}"


@dataclass(frozen=True, slots=True)
class Remark:
    """Not wrong, but worth knowing."""

    kind: RemarkKind
    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.place}: {self.message}"


@dataclass(frozen=True, slots=True)
class VerifyProgress:
    """How far a verification is; bytes are those of slices and checkpoints."""

    blocks_done: int
    blocks_total: int
    bytes_done: int
    bytes_total: int
    replays_done: int = 0


OnProgress = Callable[[VerifyProgress], None]


@dataclass(frozen=True, slots=True)
class BlockInterval:
    """Blocks after one (None: from the start) up to another (None: to the head)."""

    after: Multihash | None = None
    until: Multihash | None = None


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What to verify of a dataset, and who listens."""

    scope: VerifyScope = VerifyScope.FULL
    # Data and results of these blocks only; the chain is checked from the Seed all the same.
    blocks: BlockInterval = BlockInterval()
    recursive: bool = False
    on_progress: OnProgress | None = None
    cancel: threading.Event | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """What was looked at."""

    blocks: int = 0
    slices: int = 0
    records: int = 0
    bytes: int = 0
    replays: int = 0


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """The verdict on one dataset; blocks before data before results, in chain order; the folder's name last."""

    dataset: DatasetEntry
    scope: VerifyScope
    head: Multihash | None
    counts: Counts
    seconds: float
    faults: tuple[Fault, ...] = ()
    remarks: tuple[Remark, ...] = ()
    # Of the inputs, theirs first, when they were asked for.
    inputs: tuple["VerificationReport", ...] = field(default=())

    @property
    def verdict(self) -> VerdictKind:
        """What is wrong with the first bad object."""
        return self.faults[0].kind if self.faults else VerdictKind.VALID

    @property
    def first_fault(self) -> Fault | None:
        """The first bad object."""
        return self.faults[0] if self.faults else None

    @property
    def is_valid(self) -> bool:
        """Whether nothing is wrong, neither here nor in the inputs that were asked for."""
        return not self.faults and all(report.is_valid for report in self.inputs)
