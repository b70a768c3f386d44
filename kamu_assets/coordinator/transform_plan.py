"""What the next ExecuteTransform of a derivative reads: pure (ODF: ExecuteTransform)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kamu_assets.coordinator.errors import InputsChangedError
from kamu_assets.datasets.chains.intervals import ChainInterval, ExplicitWatermark, SliceRef
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.dataset import ExecuteTransform, ExecuteTransformInput
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash

_NOTHING = ChainInterval(slices=(), watermarks=())


@dataclass(frozen=True, slots=True)
class InputChain:
    """An input as it is now."""

    dataset_id: DatasetID
    head: Multihash
    last_offset: int | None
    # Data after a block (None: from the start) up to the head; raises when the chain does not hold that block.
    news_after: Callable[[Multihash | None], ChainInterval]


@dataclass(frozen=True, slots=True)
class InputPlan:
    """What is new in one input."""

    query_input: ExecuteTransformInput
    slices: tuple[SliceRef, ...]
    watermarks: tuple[ExplicitWatermark, ...]

    @property
    def nothing_to_do(self) -> bool:
        """Whether there is neither data nor a watermark; other changes of an input do not matter."""
        return not self.slices and not self.watermarks

    @property
    def offset_interval(self) -> OffsetInterval | None:
        """Rows to read."""
        if not self.slices:
            return None
        return OffsetInterval(start=self.slices[0].offset_interval.start, end=self.slices[-1].offset_interval.end)


def plan_input(chain: InputChain, previous: ExecuteTransformInput | None) -> InputPlan:
    """Go on where the previous transform stopped reading."""
    block = previous.last_block_hash if previous else None
    offset = previous.last_offset if previous else None
    news = chain.news_after(block) if chain.head != block else _NOTHING
    query_input = ExecuteTransformInput(
        dataset_id=chain.dataset_id,
        prev_block_hash=block,
        new_block_hash=chain.head if chain.head != block else None,
        prev_offset=offset,
        new_offset=chain.last_offset if chain.last_offset != offset else None,
    )
    return InputPlan(query_input, news.slices, news.watermarks)


def check_same_inputs(datasets: Sequence[DatasetID], previous: ExecuteTransform | None) -> None:
    """Data that was computed from some inputs cannot be continued from others."""
    if previous is not None and list(datasets) != [one.dataset_id for one in previous.query_inputs]:
        raise InputsChangedError(
            f"the transform now has other inputs than the {len(previous.query_inputs)} that data was computed from; "
            "reset the dataset to compute it anew"
        )


def plan_inputs(chains: Sequence[InputChain], previous: ExecuteTransform | None) -> tuple[InputPlan, ...]:
    """All inputs, in the order of SetTransform."""
    check_same_inputs([chain.dataset_id for chain in chains], previous)
    read = previous.query_inputs if previous else (None,) * len(chains)
    return tuple(plan_input(chain, one) for chain, one in zip(chains, read, strict=True))
