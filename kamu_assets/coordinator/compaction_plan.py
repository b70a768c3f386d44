"""Which slices of a chain become one, and what the block of that one says: pure (ODF-FACTS 9.5, hard compaction)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from kamu_assets.datasets.chains.intervals import SliceRef, data_of
from kamu_assets.datasets.model import IndexedBlock
from kamu_assets.errors import InvalidError
from kamu_assets.odf.data import ExtraAttributes
from kamu_assets.odf.dataset import AddData, DataSlice
from kamu_assets.odf.serde.flatbuffers import EventKind

MAX_SLICE_SIZE: Final = 300_000_000
MAX_SLICE_RECORDS: Final = 10_000
_LINKED: Final = "opendatafabric.org/linkedObjects"


class InvalidLimitError(InvalidError):
    """Slices of no size."""


@dataclass(frozen=True, slots=True)
class CompactionLimits:
    """How large slices may get by being put together; such that are larger already stay as they are."""

    max_slice_size: int = MAX_SLICE_SIZE
    max_slice_records: int = MAX_SLICE_RECORDS

    def __post_init__(self) -> None:
        for value, what in ((self.max_slice_size, "size"), (self.max_slice_records, "records")):
            if value <= 0:
                raise InvalidLimitError(f"Maximum slice {what} must be a positive number, not {value}")


@dataclass(frozen=True, slots=True)
class Group:
    """Blocks in a row that become one: data, or a single one of another event."""

    blocks: tuple[IndexedBlock, ...]

    @property
    def is_merged(self) -> bool:
        """Whether there is anything to put together."""
        return len(self.blocks) > 1

    @property
    def slices(self) -> tuple[SliceRef, ...]:
        """Those of the blocks; some only tell a watermark or the state of a source."""
        return data_of(self.blocks).slices

    @property
    def records(self) -> int:
        """Rows in them."""
        return sum(block.data.records for block in self.blocks if block.data)


def plan_groups(blocks: Sequence[IndexedBlock], limits: CompactionLimits) -> Sequence[Group]:
    """All blocks, oldest first; groups are filled from the newest block backwards, so that the oldest is the small one.

    Events that are no data part the groups: what came after them stays after them.
    """
    return [Group(tuple(reversed(group))) for group in _newest_first(blocks, limits)][::-1]


def merged_event(events: Sequence[AddData], data: DataSlice | None) -> AddData:
    """What the block says that takes the place of these: it begins where the first did and ends where the last did."""
    first, last = events[0], events[-1]
    states = [event.new_source_state for event in events if event.new_source_state is not None]
    return AddData(
        prev_checkpoint=first.prev_checkpoint,
        prev_offset=first.prev_offset,
        new_data=data,
        new_checkpoint=last.new_checkpoint,
        new_watermark=last.new_watermark,
        # One that was dropped in between comes back, as with the reference.
        new_source_state=states[-1] if states else None,
        extra=_merged_extra(events),
    )


def _newest_first(blocks: Sequence[IndexedBlock], limits: CompactionLimits) -> Iterator[list[IndexedBlock]]:
    group: list[IndexedBlock] = []
    size = records = 0
    for block in reversed(blocks):
        its_size, its_records = _measures(block)
        fits = size + its_size <= limits.max_slice_size and records + its_records <= limits.max_slice_records
        if group and not (fits and _is_data(block) and _is_data(group[-1])):
            yield group
            group, size, records = [], 0, 0
        group.append(block)
        size, records = size + its_size, records + its_records
    if group:
        yield group


def _is_data(block: IndexedBlock) -> bool:
    return block.event_kind is EventKind.ADD_DATA


def _measures(block: IndexedBlock) -> tuple[int, int]:
    if block.data is None or block.data.data_slice is None:
        return 0, 0
    return block.data.data_slice.size, block.data.records


def _merged_extra(events: Sequence[AddData]) -> ExtraAttributes | None:
    """What the newest says of each thing, and how many objects the rows of all of them link."""
    merged: dict[str, JsonValue] = {}
    sums: dict[str, int] = {}
    for event in events:
        said = event.extra.to_json() if event.extra else {}
        merged |= said
        counts = said.get(_LINKED)
        for name, count in counts.items() if isinstance(counts, dict) else ():
            if isinstance(count, int):
                sums[name] = sums.get(name, 0) + count
    if sums:
        merged[_LINKED] = {**sums}
    return ExtraAttributes(merged) if merged else None
