"""What datasets announce through the outbox, in the transaction of the change."""

from typing import ClassVar

from kamu_assets.database.messages import Message
from kamu_assets.datasets.model import Pushed, RewriteKind
from kamu_assets.odf.identity import AccountID, DatasetAlias, DatasetID, DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp


class DatasetCreated(Message):
    """A dataset exists now: made from a snapshot, adopted, or found again."""

    topic: ClassVar[str] = "dataset.created"

    dataset_id: DatasetID
    alias: DatasetAlias
    kind: DatasetKind
    owner_id: AccountID
    head: Multihash
    inputs: tuple[DatasetID, ...]
    records: int
    watermark: Timestamp | None
    system_time: Timestamp


class DatasetUpdated(Message):
    """The head of a dataset moved."""

    topic: ClassVar[str] = "dataset.updated"

    dataset_id: DatasetID
    alias: DatasetAlias
    kind: DatasetKind
    old_head: Multihash
    new_head: Multihash
    blocks: int
    new_records: int
    # Kinds of the new events, oldest first: who follows schemas or transforms need not read the blocks.
    event_kinds: tuple[str, ...]
    watermark: Timestamp | None
    system_time: Timestamp
    # The Dagster run that made the commit, if one did.
    run_id: str | None
    old_watermark: Timestamp | None = None
    # Of a push.
    push: Pushed | None = None


class DatasetRewritten(Message):
    """The chain of a dataset was reset or replaced: whoever read it up to `old_head` cannot go on from there."""

    topic: ClassVar[str] = "dataset.rewritten"

    dataset_id: DatasetID
    alias: DatasetAlias
    kind: DatasetKind
    how: RewriteKind
    old_head: Multihash
    new_head: Multihash
    # Of the whole chain, before and now.
    old_blocks: int
    blocks: int
    records: int
    inputs: tuple[DatasetID, ...]
    watermark: Timestamp | None
    system_time: Timestamp
    # The Dagster run that did it, if one did.
    run_id: str | None


class DatasetRenamed(Message):
    """A dataset is called otherwise now."""

    topic: ClassVar[str] = "dataset.renamed"

    dataset_id: DatasetID
    old_alias: DatasetAlias
    new_alias: DatasetAlias


class DatasetDeleted(Message):
    """A dataset is gone."""

    topic: ClassVar[str] = "dataset.deleted"

    dataset_id: DatasetID
    alias: DatasetAlias
    kind: DatasetKind


MESSAGES: tuple[type[Message], ...] = (
    DatasetCreated,
    DatasetUpdated,
    DatasetRewritten,
    DatasetRenamed,
    DatasetDeleted,
)
