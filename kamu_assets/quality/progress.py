"""How far the checks of datasets have come: slices never change, so what was counted stays counted."""

from collections.abc import Mapping, Sequence

from kamu_assets.database.database import Database
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import EventKind
from kamu_assets.quality.counting import Begun
from kamu_assets.quality.declared import Check, fingerprint
from kamu_assets.quality.model import RowCountChange
from kamu_assets.quality.results import CheckResult, Outcome
from kamu_assets.quality.store import Counted, TallyStore


class Progress:
    """Remembers tallies, and forgets those of a chain that was reset or of a rule that has changed."""

    def __init__(self, database: Database, chains: Chains) -> None:
        self._database = database
        self._chains = chains
        self._index = BlockIndex()
        self._tallies = TallyStore()

    def begun(self, dataset: DatasetID, chain: ChainState, checks: Sequence[Check]) -> Mapping[str, Begun]:
        """Where to go on with each check, in the chain as it is known."""
        with self._database.reading() as tx:
            known = self._tallies.of(tx, dataset)
            return {check.name: self._begun(tx, dataset, chain, check, known.get(check.name)) for check in checks}

    def _begun(
        self, tx: Transaction, dataset: DatasetID, chain: ChainState, check: Check, known: Counted | None
    ) -> Begun:
        if known is not None and known.rule != fingerprint(check.rule):
            known = None
        if isinstance(check.rule, RowCountChange):
            return Begun(first=self._first_to_judge(tx, dataset, chain, known))
        there = self._index.sequence_of(tx, dataset, known.head) if known else None
        # In the index the chain may have grown, or have been reset, since.
        if known is None or there is None or there > chain.sequence_number:
            return Begun()
        return Begun(known.tally, known.next_offset)

    def _first_to_judge(self, tx: Transaction, dataset: DatasetID, chain: ChainState, known: Counted | None) -> int:
        """Where the first commit begins that was not judged yet; where nothing came, the first of those that were."""
        # Whatever was compacted since has kept its offsets.
        if known is not None and known.next_offset <= chain.next_offset:
            return known.tally.since if known.next_offset == chain.next_offset else known.next_offset
        newest = self._records_until(tx, dataset, chain.sequence_number)
        kinds = {EventKind.SET_ATTACHMENTS}
        attached = self._index.page(tx, dataset, newest_first=True, start=chain.sequence_number, kinds=kinds, limit=1)
        before = self._records_until(tx, dataset, attached[0].sequence_number) if attached else None
        return min(before.end + 1 if before else 0, newest.start if newest else 0)

    def _records_until(self, tx: Transaction, dataset: DatasetID, until: int) -> OffsetInterval | None:
        """Those of the newest commit with some, up to a block."""
        while block := self._index.newest_data(tx, dataset, until=until):
            if block.data and block.data.data_slice:
                return block.data.data_slice.offset_interval
            until = block.sequence_number - 1
        return None

    def keep(self, dataset: DatasetID, head: Multihash, next_offset: int, results: Sequence[CheckResult]) -> None:
        """Go on from there the next time, where something was counted."""
        counted = {
            each.check.name: Counted(fingerprint(each.check.rule), head, next_offset, each.tally)
            for each in results
            if each.outcome is not Outcome.ERRORED
        }
        with self._database.transaction() as tx:
            self._tallies.replace(tx, dataset, counted)

    def forget(self, dataset: DatasetID) -> None:
        with self._database.transaction() as tx:
            self._tallies.forget(tx, dataset)
