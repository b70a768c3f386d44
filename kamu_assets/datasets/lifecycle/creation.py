"""Starts datasets from snapshots."""

from collections.abc import Callable, Collection, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kamu_assets.auth.model import Account, Caller
from kamu_assets.auth.store import AccountStore
from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.commit.committer import Committer
from kamu_assets.datasets.commit.sealing import seal
from kamu_assets.datasets.lifecycle.snapshots import in_order, resolved_events
from kamu_assets.datasets.lookup import DEFAULT_ACCOUNT, Lookup
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.governance.access import Access
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import DatasetSnapshot, MetadataEvent, Seed, SetTransform
from kamu_assets.odf.engine import TransformSql
from kamu_assets.odf.identity import AccountName, DatasetAlias, DatasetID, DatasetRef
from kamu_assets.odf.snapshot import normalize_snapshot
from kamu_assets.odf.timestamp import Timestamp

# Raises when it is plain that a query will never be computed here.
CheckTransform = Callable[[TransformSql], None]


def random_dataset_id() -> DatasetID:
    """The public key of a fresh key pair; nothing asks for the private one yet, so it is not kept."""
    return DatasetID.from_public_key(Ed25519PrivateKey.generate().public_key().public_bytes_raw())


class Creation:
    """The use case of a new dataset: all of it or nothing."""

    def __init__(
        self,
        *,
        database: Database,
        committer: Committer,
        accounts: AccountStore,
        access: Access,
        clock: Clock,
        new_dataset_id: Callable[[], DatasetID] = random_dataset_id,
        check_transform: CheckTransform | None = None,
    ) -> None:
        self._database = database
        self._committer = committer
        self._accounts = accounts
        self._access = access
        self._lookup = Lookup(access)
        self._clock = clock
        self._new_dataset_id = new_dataset_id
        self._check_transform = check_transform

    def create(
        self,
        caller: Caller,
        snapshot: DatasetSnapshot,
        *,
        account: AccountName | None = None,
        system_time: Timestamp | None = None,
    ) -> DatasetEntry:
        """A dataset of the account that the name states, or `account`, or the caller's."""
        now = system_time or self._clock.now()
        entry, events = self._planned(caller, snapshot, account, now)
        self._committer.create(entry, events, system_time=now)
        return entry

    def check(self, caller: Caller, snapshot: DatasetSnapshot, *, beside: Collection[DatasetAlias]) -> None:
        """Raise what creating it would if the datasets `beside` were there; that its name is taken is no reason."""
        now = self._clock.now()
        entry, events = self._planned(caller, snapshot, None, now, beside=beside)
        seal(ChainState.empty(), [Seed(dataset_id=entry.id, dataset_kind=entry.kind), *events], system_time=now)

    def _planned(
        self,
        caller: Caller,
        snapshot: DatasetSnapshot,
        account: AccountName | None,
        now: Timestamp,
        *,
        beside: Collection[DatasetAlias] = (),
    ) -> tuple[DatasetEntry, Sequence[MetadataEvent]]:
        snapshot = normalize_snapshot(snapshot)
        for event in snapshot.metadata:
            if isinstance(event, SetTransform) and self._check_transform is not None:
                self._check_transform(event.transform)
        with self._database.reading() as tx:
            owner = self._owner(tx, caller, snapshot.name.account or account)
            entry = DatasetEntry(
                id=self._new_dataset_id(),
                kind=snapshot.kind,
                owner=owner.id,
                account=owner.name,
                name=snapshot.name.name,
                created_at=now,
            )

            def find(ref: DatasetRef) -> DatasetID | None:
                is_beside = isinstance(ref, DatasetAlias) and _full(ref, owner.name) in beside
                return self._new_dataset_id() if is_beside else self._find(tx, caller, ref, owner)

            return entry, resolved_events(snapshot, entry.alias, find)

    def create_all(
        self,
        caller: Caller,
        snapshots: Sequence[DatasetSnapshot],
        *,
        account: AccountName | None = None,
        system_time: Timestamp | None = None,
    ) -> list[DatasetEntry]:
        """Several that may read each other: inputs first. Stops at the first that fails; earlier ones stay."""
        default = account or (caller.account.name if caller.account else DEFAULT_ACCOUNT)
        return [
            self.create(caller, snapshot, account=account, system_time=system_time)
            for snapshot in in_order(snapshots, default)
        ]

    def _owner(self, tx: Transaction, caller: Caller, name: AccountName | None) -> Account:
        if name is None and caller.account is not None:
            return caller.account
        account = self._accounts.get(tx, name or DEFAULT_ACCOUNT)
        self._access.require_account(tx, caller, account.id, account.name)
        return account

    def _find(self, tx: Transaction, caller: Caller, ref: DatasetRef, owner: Account) -> DatasetID | None:
        entry = self._lookup.find(tx, caller, ref, account=owner.name)
        return entry.id if entry else None


def _full(alias: DatasetAlias, account: AccountName) -> DatasetAlias:
    return alias if alias.account else DatasetAlias(account, alias.name)
