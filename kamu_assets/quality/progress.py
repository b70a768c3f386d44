"""How far the checks of datasets have come: slices never change, so what was counted stays counted."""

from collections.abc import Mapping, Sequence

from kamu_assets.database.database import Database
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.block_index import BlockIndex
from kamu_assets.datasets.chains import Chains
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
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

    def begun(self, dataset: DatasetID, head: Multihash, checks: Sequence[Check]) -> Mapping[str, Begun]:
        """Where to go on with each check, in the chain up to `head`."""
        with self._database.reading() as tx:
            known = self._tallies.of(tx, dataset)
            until = self._index.sequence_of(tx, dataset, head)
            return {check.name: self._begun(tx, dataset, until, check, known.get(check.name)) for check in checks}

    def _begun(
        self, tx: Transaction, dataset: DatasetID, until: int | None, check: Check, known: Counted | None
    ) -> Begun:
        if known is None or known.rule != fingerprint(check.rule):
            return Begun()
        there = self._index.sequence_of(tx, dataset, known.head)
        if there is None or until is None or there > until:
            return Begun()
        return Begun(known.tally, known.next_offset)

    def newest_records(self, dataset: DatasetID, chain: ChainState) -> int:
        """The first offset of the newest commit that has records."""
        data = chain.last_data.new_data if chain.last_data else None
        until = chain.sequence_number
        with self._database.reading() as tx:
            while data is None and (block := self._index.newest_data(tx, dataset, until=until)):
                data = block.data.data_slice if block.data else None
                until = block.sequence_number - 1
        return data.offset_interval.start if data else 0

    def keep(self, dataset: DatasetID, head: Multihash, next_offset: int, results: Sequence[CheckResult]) -> None:
        """Go on from there the next time, where something was counted."""
        counted = {
            each.check.name: Counted(fingerprint(each.check.rule), head, next_offset, each.tally)
            for each in results
            if each.outcome is not Outcome.ERRORED and not isinstance(each.check.rule, RowCountChange)
        }
        with self._database.transaction() as tx:
            self._tallies.replace(tx, dataset, counted)

    def forget(self, dataset: DatasetID) -> None:
        with self._database.transaction() as tx:
            self._tallies.forget(tx, dataset)
