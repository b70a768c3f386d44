"""How far the checks of datasets have come: slices never change, so what was counted stays counted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

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
        there = self._index.sequence_of(tx, dataset, known.head) if known else None
        # In the index the chain may have grown, or have been reset, since.
        goes_on = there is not None and there <= chain.sequence_number
        if isinstance(check.rule, RowCountChange):
            return self._commits_begun(tx, dataset, chain, known, goes_on=goes_on)
        return Begun(known.tally, known.next_offset) if known and goes_on else Begun()

    def _commits_begun(
        self, tx: Transaction, dataset: DatasetID, chain: ChainState, known: Counted | None, *, goes_on: bool
    ) -> Begun:
        """The commits that were not judged yet; where nothing came, those that were."""
        if known is None:
            return Begun(first=self._first_promised(tx, dataset, chain))
        is_as_long = known.next_offset == chain.next_offset
        if goes_on:
            return Begun(first=known.tally.since if is_as_long else known.next_offset)
        # Compacted rows keep their offsets and times. What was pushed after a reset may have offsets that others had.
        first = known.tally.since if is_as_long else self._first_promised(tx, dataset, chain)
        return Begun(first=first, after=known.tally.as_of)

    def _first_promised(self, tx: Transaction, dataset: DatasetID, chain: ChainState) -> int:
        """Where the first commit begins since the rules were attached, or the newest if that is older."""
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

    def keep(self, dataset: DatasetID, head: Multihash, chain: ChainState, results: Sequence[CheckResult]) -> None:
        """Go on from the end of the chain the next time, where something was counted."""
        counted = {
            each.check.name: Counted(
                fingerprint(each.check.rule), head, chain.next_offset, replace(each.tally, as_of=chain.system_time)
            )
            for each in results
            if each.outcome is not Outcome.ERRORED
        }
        with self._database.transaction() as tx:
            self._tallies.replace(tx, dataset, counted)

    def forget(self, dataset: DatasetID) -> None:
        with self._database.transaction() as tx:
            self._tallies.forget(tx, dataset)
