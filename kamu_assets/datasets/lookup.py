"""From a reference to a dataset the caller may know of."""

from collections.abc import Iterable, Sequence

from kamu_assets.auth.model import Caller
from kamu_assets.auth.service import ADMIN
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.errors import DatasetNotFoundError, NothingMatchesError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.governance.access import Access, Action
from kamu_assets.odf.identity import AccountName, DatasetID, DatasetRef, DatasetRefPattern, parse_dataset_ref

# The account of aliases that name none.
DEFAULT_ACCOUNT = ADMIN


class Lookup:
    """Resolves references; what may not be read does not exist."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._entries = DatasetStore()

    def find(
        self, tx: Transaction, caller: Caller, ref: DatasetRef, *, account: AccountName = DEFAULT_ACCOUNT
    ) -> DatasetEntry | None:
        """By identity, or by alias whatever its case; `account` is for aliases without one."""
        if isinstance(ref, DatasetID):
            entry = self._entries.find(tx, ref)
        else:
            entry = self._entries.find_alias(tx, ref.account or account, ref.name)
        if entry is None or not self._access.allows(tx, caller, entry, Action.READ):
            return None
        return entry

    def get(self, tx: Transaction, caller: Caller, ref: DatasetRef, action: Action = Action.READ) -> DatasetEntry:
        """The same; DatasetNotFoundError, or DeniedError when reading is all that is allowed."""
        entry = self.find(tx, caller, ref)
        if entry is None:
            raise DatasetNotFoundError(ref)
        self._access.require(tx, caller, entry, action)
        return entry

    def select(self, tx: Transaction, caller: Caller, texts: Iterable[str]) -> Sequence[DatasetEntry]:
        """What references and patterns with `%` mean, each once; DatasetNotFoundError, NothingMatchesError."""
        found: dict[DatasetID, DatasetEntry] = {}
        for text in texts:
            if "%" in text:
                found |= {entry.id: entry for entry in self._matching(tx, caller, text)}
            else:
                entry = self.get(tx, caller, parse_dataset_ref(text))
                found[entry.id] = entry
        return list(found.values())

    def _matching(self, tx: Transaction, caller: Caller, text: str) -> Sequence[DatasetEntry]:
        pattern = DatasetRefPattern.parse(text)
        named = [entry for entry in self._entries.list(tx) if pattern.matches(entry.handle)]
        seen = [entry for entry in named if self._access.allows(tx, caller, entry, Action.READ)]
        if not seen:
            raise NothingMatchesError(pattern)
        return seen

    def visible(self, tx: Transaction, caller: Caller, ids: Sequence[DatasetID]) -> Sequence[DatasetEntry]:
        """Those of the datasets that are here and that the caller may know of, in their order."""
        found = {entry.id: entry for entry in self._entries.get_many(tx, ids)}
        entries = [found[id_] for id_ in ids if id_ in found]
        return [entry for entry in entries if self._access.allows(tx, caller, entry, Action.READ)]
