"""What comes of pulling and pushing."""

from dataclasses import dataclass

from kamu_assets.datasets.model import CommitResult
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.multihash import Multihash


@dataclass(frozen=True, slots=True)
class UpToDate:
    """Nothing was new, nothing was committed."""

    # The source cannot tell what is new, so it was not asked: `fetch_uncacheable` reads all of it again.
    uncacheable: bool = False
    # Inputs that never got any data: the derivative waits for them, whatever is new in its others.
    waiting_for: tuple[DatasetAlias, ...] = ()


@dataclass(frozen=True, slots=True)
class NothingToPoll:
    """A root dataset without a polling source: data is pushed to it."""


@dataclass(frozen=True, slots=True)
class Updated:
    """Blocks were committed."""

    old_head: Multihash | None
    new_head: Multihash
    blocks: int
    records: int
    # The source has more, but so many slices were not asked for.
    has_more: bool = False
    # Rows of the inputs that came too late to count in what was derived from them.
    late_rows: int = 0

    @classmethod
    def of(cls, commit: CommitResult) -> "Updated":
        return cls(commit.old_head, commit.new_head, commit.blocks, commit.records)

    def then(self, later: "Updated") -> "Updated":
        """Both commits as one update."""
        return Updated(
            self.old_head,
            later.new_head,
            self.blocks + later.blocks,
            self.records + later.records,
            later.has_more,
            self.late_rows + later.late_rows,
        )


PullResult = UpToDate | Updated | NothingToPoll
WatermarkResult = UpToDate | Updated


@dataclass(frozen=True, slots=True)
class PushResult:
    """A push is durable, and everything that was read from it is behind `new_head`."""

    new_head: Multihash
    records: int
    up_to_date: bool


@dataclass(frozen=True, slots=True)
class NothingToDo:
    """The chain is as it was asked to be."""


@dataclass(frozen=True, slots=True)
class Reorganized:
    """A chain took the place of another one: whoever read the old one has to start anew."""

    old_head: Multihash
    new_head: Multihash
    # Of the whole chain, before and after.
    original_blocks: int
    resulting_blocks: int


ReorganizationResult = NothingToDo | Reorganized
