"""A chain that is to take the place of another one, as far as it has been made. Stores nothing."""

from collections.abc import Iterable, Iterator, Sequence

from kamu_assets.datasets.commit.sealing import Sealed, seal
from kamu_assets.datasets.model import IndexedBlock
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import AddData, MetadataBlock, MetadataEvent
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp


class Successor:
    """Begins with the Seed of the chain that it follows, and is added to as that goes on."""

    def __init__(self, seed: IndexedBlock, block: MetadataBlock) -> None:
        self._blocks = [seed]
        self._last_data: AddData | None = None
        self.state = ChainState.empty().extend(seed.block_hash, block)
        # The block of the other chain up to which all is in this one.
        self.follows: Multihash = seed.block_hash
        # When the newest blocks were made.
        self.system_time: Timestamp = block.system_time

    @property
    def blocks(self) -> Sequence[IndexedBlock]:
        """All of them, the Seed first."""
        return self._blocks

    def append(self, events: Iterable[MetadataEvent], *, until: ChainState, now: Timestamp) -> Sealed:
        """What stands for the blocks of the other chain that it has not followed yet, which then ended like this."""
        self.system_time = max(self.system_time, now)
        sealed = seal(self.state, self._telling(events), system_time=self.system_time)
        self._blocks += [each.indexed for each in sealed.blocks]
        self.state = sealed.after
        self.follows = until.head or self.follows
        return sealed

    def _telling(self, events: Iterable[MetadataEvent]) -> Iterator[MetadataEvent]:
        """Without data events that, others having been put together, say nothing new."""
        for event in events:
            if isinstance(event, AddData):
                if event.new_data is None and self._last_data is not None and _said(event) == _said(self._last_data):
                    continue
                self._last_data = event
            yield event


def _said(event: AddData) -> object:
    return (event.new_checkpoint, event.new_watermark, event.new_source_state)
