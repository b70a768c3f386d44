"""Why a block may not follow a chain: one class per rule of a chain (ODF: Metadata Chain), named as kamu names it."""

from typing import ClassVar

from kamu_assets.errors import InvalidError
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp


class ChainRuleError(InvalidError):
    """A block may not follow the chain."""

    rule: ClassVar[str]
    """The name of the rule in kamu."""


class NoOpEventError(ChainRuleError):
    """The event says nothing new."""

    rule = "NoOpEvent"


class UnimplementedEventError(ChainRuleError):
    """The specification has the event, but no node acts on it yet."""

    rule = "Unimplemented"


class AppendingSeedBlockToNonEmptyChainError(ChainRuleError):
    """A chain has one seed, its first block."""

    rule = "AppendingSeedBlockToNonEmptyChain"

    def __init__(self) -> None:
        super().__init__("a seed can only be the first block of a chain")


class FirstBlockMustBeSeedError(ChainRuleError):
    """The first block says what the dataset is."""

    rule = "FirstBlockMustBeSeed"

    def __init__(self) -> None:
        super().__init__("the first block of a chain must be a seed")


class PrevBlockNotFoundError(ChainRuleError):
    """The block follows something that is not the head of the chain."""

    rule = "PrevBlockNotFound"

    def __init__(self, *, given: Multihash | None, head: Multihash | None) -> None:
        super().__init__(f"the block follows {given}, but the head of the chain is {head}")
        self.given = given
        self.head = head


class SequenceIntegrityError(ChainRuleError):
    """Blocks are numbered from zero without gaps."""

    rule = "SequenceIntegrity"

    def __init__(self, *, expected: int, given: int) -> None:
        super().__init__(f"the next block has the sequence number {expected}, not {given}")
        self.expected = expected
        self.given = given


class SystemTimeIsNotMonotonicError(ChainRuleError):
    """The clock of a chain never goes back."""

    rule = "SystemTimeIsNotMonotonic"

    def __init__(self, *, previous: Timestamp, given: Timestamp) -> None:
        super().__init__(f"system time {given} is before that of the previous block, {previous}")
        self.previous = previous
        self.given = given


class WatermarkIsNotMonotonicError(ChainRuleError):
    """A watermark, once there, stays or grows."""

    rule = "WatermarkIsNotMonotonic"

    def __init__(self, *, previous: Timestamp, given: Timestamp | None) -> None:
        super().__init__(f"watermark {given} is before the one already reached, {previous}")
        self.previous = previous
        self.given = given


class OffsetsAreNotSequentialError(ChainRuleError):
    """Records are numbered from zero without gaps."""

    rule = "OffsetsAreNotSequential"

    def __init__(self, *, expected: int, given: int) -> None:
        super().__init__(f"the next record has the offset {expected}, not {given}")
        self.expected = expected
        self.given = given


class HashMismatchError(ChainRuleError):
    """The bytes of a block are not those that its hash promises."""

    rule = "HashMismatch"

    def __init__(self, *, expected: Multihash, actual: Multihash) -> None:
        super().__init__(f"the block hashes to {actual}, not to {expected}")
        self.expected = expected
        self.actual = actual


class InvalidEventError(ChainRuleError):
    """The event contradicts itself or what came before it."""

    rule = "InvalidEvent"


class WrongDatasetKindError(InvalidEventError):
    """Roots are added to, derivatives are computed; kamu leaves this to whoever makes the event."""

    def __init__(self, *, event: str, kind: str) -> None:
        super().__init__(f"{event} has no place in the chain of a {kind.lower()} dataset")


class DataBeforeSchemaError(InvalidEventError):
    """Records came before anybody said what they look like."""

    def __init__(self) -> None:
        super().__init__("data needs a SetDataSchema before it")


class IncompatibleSchemaError(InvalidEventError):
    """The new schema cannot read the data that is already there."""


class MixedSourcesError(InvalidEventError):
    """A dataset either pulls or is pushed to."""


class CheckpointMismatchError(InvalidEventError):
    """The event does not start from the state the last one left."""

    def __init__(self, *, expected: Multihash | None, given: Multihash | None) -> None:
        super().__init__(f"the last checkpoint is {expected}, not {given}")
        self.expected = expected
        self.given = given


class InputMismatchError(InvalidEventError):
    """The inputs of a transformation do not continue where the last one ended."""
