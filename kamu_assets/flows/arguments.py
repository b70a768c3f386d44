"""What a flow is told beside what it is done to: part of the configuration that it keeps from when it began to wait."""

from dataclasses import dataclass

from kamu_assets.coordinator.compaction_plan import MAX_SLICE_RECORDS, MAX_SLICE_SIZE, CompactionLimits
from kamu_assets.odf.multihash import Multihash


@dataclass(frozen=True, slots=True)
class IngestArguments:
    """How a source is polled."""

    # Read sources again that cannot tell whether they changed.
    fetch_uncacheable: bool = False
    # One slice in each flow, and while the source has more another flow at once, or none; None: all of it in one flow.
    fetch_next_iteration: bool | None = None

    @property
    def one_slice(self) -> bool:
        """Whether a flow takes no more than that."""
        return self.fetch_next_iteration is not None


@dataclass(frozen=True, slots=True)
class CompactionArguments:
    """How large slices may get; `limits` raises InvalidLimitError where these are none."""

    max_slice_size: int = MAX_SLICE_SIZE
    max_slice_records: int = MAX_SLICE_RECORDS

    @property
    def limits(self) -> CompactionLimits:
        return CompactionLimits(self.max_slice_size, self.max_slice_records)


@dataclass(frozen=True, slots=True)
class ResetArguments:
    """Where a chain goes back to."""

    # None: the Seed.
    new_head: Multihash | None = None
    # Only if this is the head by then; None: whatever it is.
    old_head: Multihash | None = None
