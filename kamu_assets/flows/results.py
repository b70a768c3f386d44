"""What flows achieved, as it is kept with them and with their attempts."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from kamu_assets.coordinator.results import NothingToDo, ReorganizationResult
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True, slots=True)
class NothingNew:
    """The source, or the inputs, had nothing new."""

    # The source cannot tell what is new, and was not read again.
    uncacheable: bool = False
    kind: Literal["UP_TO_DATE"] = "UP_TO_DATE"


@dataclass(frozen=True, slots=True)
class DataAdded:
    """Blocks were committed that bring a dataset up to date."""

    blocks: int
    records: int
    # Where the watermark is now; None where it did not move.
    watermark: Timestamp | None = None
    # Whether the source has more than was asked for.
    has_more: bool = False
    kind: Literal["UPDATED"] = "UPDATED"


@dataclass(frozen=True, slots=True)
class NothingChanged:
    """The chain was already as it was asked to be."""

    kind: Literal["NOTHING_TO_DO"] = "NOTHING_TO_DO"


@dataclass(frozen=True, slots=True)
class ChainReplaced:
    """The dataset was compacted, reset or emptied."""

    original_blocks: int
    resulting_blocks: int
    new_head: Multihash
    kind: Literal["REORGANIZED"] = "REORGANIZED"

    @staticmethod
    def of(result: ReorganizationResult) -> "ChainReplaced | NothingChanged":
        """What the coordinator did."""
        if isinstance(result, NothingToDo):
            return NothingChanged()
        return ChainReplaced(result.original_blocks, result.resulting_blocks, result.new_head)


@dataclass(frozen=True, slots=True)
class Verified:
    """The dataset was read and judged."""

    # Of the first bad object, or that there is none.
    verdict: str
    blocks: int
    faults: int
    remarks: int
    kind: Literal["VERIFIED"] = "VERIFIED"


@dataclass(frozen=True, slots=True)
class GarbageRemoved:
    """Files went that nothing led to."""

    files: int
    bytes: int
    datasets: int
    kind: Literal["COLLECTED"] = "COLLECTED"


@dataclass(frozen=True, slots=True)
class ReceiverTold:
    """A subscribed web server was told of what it was not told yet."""

    # Those that got there.
    deliveries: int
    # What was answered last, also where that means failure; None: nothing was.
    response_status: int | None = None
    kind: Literal["TOLD"] = "TOLD"


FlowResult = NothingNew | DataAdded | NothingChanged | ChainReplaced | Verified | GarbageRemoved | ReceiverTold

_RESULT: TypeAdapter[FlowResult] = TypeAdapter(Annotated[FlowResult, Field(discriminator="kind")])


def result_text(result: FlowResult | None) -> str | None:
    """As rows have it."""
    return None if result is None else _RESULT.dump_json(result, exclude_none=True).decode()


def result_of(text: str | None) -> FlowResult | None:
    """What the text of a row says."""
    return None if text is None else _RESULT.validate_json(text)


def has_more(result: FlowResult | None) -> bool:
    """Whether there is something left for another flow."""
    return isinstance(result, DataAdded) and result.has_more
