"""Datasets on a real folder and a real database: what `Node` wires, without its other parts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.auth.model import Account, Caller
from kamu_assets.auth.store import AccountStore
from kamu_assets.clock import ManualClock
from kamu_assets.database.database import Database
from kamu_assets.database.messages import MessageTypes
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.commit.committer import CommitStep, Committer
from kamu_assets.datasets.doctor.doctor import Doctor
from kamu_assets.datasets.messages import MESSAGES
from kamu_assets.datasets.model import DatasetEntry, NewCheckpoint, NewSlice, Pushed
from kamu_assets.datasets.service import Datasets
from kamu_assets.durability import Durability
from kamu_assets.governance.access import Access
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.data_hash import logical_hash
from kamu_assets.odf.dataset import AddData, MetadataEvent
from kamu_assets.odf.identity import AccountID, AccountName, DatasetID, DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.names import DatasetName
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.local import LocalObjectStore
from kamu_assets.storage.volumes import Volumes
from tests.support.builders import START, a_dataset_id, a_schema

OnStep = Callable[[CommitStep], None]


def account(name: str, *, admin: bool = False) -> Account:
    return Account(AccountID.seeded(name.encode()), AccountName(name), is_admin=admin, created_at=START)


KAMU = account("kamu", admin=True)
ADMIN = Caller(KAMU)


@dataclass
class Heart:
    """Everything a test of datasets talks to."""

    database: Database
    volumes: Volumes
    clock: ManualClock
    outbox: Outbox
    chains: Chains
    committer: Committer
    datasets: Datasets
    doctor: Doctor

    def dataset(
        self, name: str = "dataset", *events: MetadataEvent, kind: DatasetKind = DatasetKind.ROOT
    ) -> DatasetEntry:
        """A new dataset of the admin with a schema."""
        entry = an_entry(name, kind=kind)
        self.committer.create(entry, events or (a_schema(),), system_time=START)
        return entry

    def add_data(
        self, dataset: DatasetID, *, records: int = 10, on: Multihash | None = None, push: Pushed | None = None
    ) -> Multihash:
        """One more slice; tells the new head."""
        state = self.chains.state(dataset)
        new = self.a_slice(start=state.next_offset, records=records)
        result = self.committer.commit(
            dataset,
            expected_head=on or state.head,
            events=[that_adds(new, state)],
            files=[new],
            system_time=self.now(state.system_time),
            push=push,
        )
        return result.new_head

    def add_checkpoint(self, dataset: DatasetID, *before: MetadataEvent, file: Path | None = None) -> Multihash:
        """One more slice, with a checkpoint and what comes before both, in one commit; tells the new head."""
        state = self.chains.state(dataset)
        new, checkpoint = self.a_slice(start=state.next_offset), self.a_checkpoint(file)
        added = that_adds(new, state).model_copy(update={"new_checkpoint": checkpoint.checkpoint})
        return self.committer.commit(
            dataset, expected_head=state.head, events=[*before, added], files=[new, checkpoint], system_time=START
        ).new_head

    def a_slice(self, *, start: int, records: int = 10) -> NewSlice:
        """A finished Parquet file with system columns only."""
        table = rows(start, records)
        path = self.volumes.staging(DatasetKind.ROOT) / uuid.uuid4().hex
        pq.write_table(table, path)
        content = path.read_bytes()
        return NewSlice(
            path=path,
            physical_hash=Multihash.sha3_256(content),
            logical_hash=logical_hash(table),
            offset_interval=OffsetInterval(start=start, end=start + records - 1),
            size=len(content),
        )

    def a_checkpoint(self, file: Path | None = None) -> NewCheckpoint:
        """A finished checkpoint of some engine."""
        path = file or self.volumes.root.staging() / "checkpoint"
        path.write_bytes(b"state of an engine")
        return NewCheckpoint(path=path, physical_hash=Multihash.sha3_256(path.read_bytes()), size=path.stat().st_size)

    def now(self, after: Timestamp | None) -> Timestamp:
        return max(self.clock.now(), after or START)


def that_adds(new: NewSlice, state: ChainState) -> AddData:
    """The event for a slice that follows the chain."""
    return AddData(
        prev_offset=state.last_offset,
        prev_checkpoint=state.checkpoint.physical_hash if state.checkpoint else None,
        new_data=new.data_slice,
        new_watermark=state.watermark or START,
    )


def rows(start: int, records: int) -> pa.Table:
    """Records that are nothing but their offsets."""
    moment = pa.timestamp("ms", "UTC")
    columns = {
        "offset": (pa.int64(), list(range(start, start + records))),
        "op": (pa.int32(), [0] * records),
        "system_time": (moment, [START.millis] * records),
        "event_time": (moment, [START.millis] * records),
    }
    schema = pa.schema([pa.field(name, kind, nullable=False) for name, (kind, _) in columns.items()])
    return pa.table([pa.array(values, kind) for kind, values in columns.values()], schema=schema)


def an_entry(name: str = "dataset", *, kind: DatasetKind = DatasetKind.ROOT, owner: Account = KAMU) -> DatasetEntry:
    return DatasetEntry(
        id=a_dataset_id(name[:32]),
        kind=kind,
        owner=owner.id,
        account=owner.name,
        name=DatasetName(name),
        created_at=START,
    )


def open_heart(
    home: Path,
    *,
    url: str | None = None,
    durability: Durability = Durability.FAST,
    on_step: OnStep | None = None,
    committer_class: type[Committer] = Committer,
    store_class: type[LocalObjectStore] = LocalObjectStore,
    split_volumes: bool = False,
) -> Heart:
    """The heart on a folder; a SQLite file in it unless another database is named."""
    database = Database.open(url or f"sqlite:///{home / 'node.db'}", durability=durability)
    database.migrate()
    root = store_class(home / "datasets", durability)
    volumes = Volumes(root, LocalObjectStore(home / "derivatives", durability) if split_volumes else root)
    clock = ManualClock(START)
    outbox = Outbox(database, clock=clock, types=MessageTypes(MESSAGES))
    chains = Chains(database=database, volumes=volumes)
    hook = {"on_step": on_step} if on_step else {}
    committer = committer_class(database=database, volumes=volumes, chains=chains, outbox=outbox, **hook)
    with database.transaction() as tx:
        AccountStore().ensure(tx, KAMU)
    return Heart(
        database=database,
        volumes=volumes,
        clock=clock,
        outbox=outbox,
        chains=chains,
        committer=committer,
        datasets=Datasets(
            database=database,
            volumes=volumes,
            chains=chains,
            committer=committer,
            outbox=outbox,
            access=Access(),
            clock=clock,
        ),
        doctor=Doctor(database=database, volumes=volumes, outbox=outbox, accounts=AccountStore(), clock=clock),
    )
