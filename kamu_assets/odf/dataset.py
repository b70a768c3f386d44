"""The metadata chain: blocks, the events they carry, and the manifest that starts one (ODF: dataset schemas)."""

import base64
import binascii
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer
from pydantic_core import PydanticCustomError

from kamu_assets.odf.data import DataSchema, DatasetVocabulary, ExtraAttributes, OffsetInterval, UInt64
from kamu_assets.odf.engine import Transform, TransformInput
from kamu_assets.odf.identity import DatasetAlias, DatasetID, DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.source import FetchStep, MergeStrategy, PrepStep, ReadStep, SourceState
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.odf.typedef import ByKind, ListOf, OdfModel

__all__ = [
    "AddData",
    "AddPushSource",
    "AttachmentEmbedded",
    "AttachmentsEmbedded",
    "Checkpoint",
    "DataSlice",
    "DatasetKind",
    "DatasetSnapshot",
    "DisablePollingSource",
    "DisablePushSource",
    "ExecuteTransform",
    "ExecuteTransformInput",
    "MetadataBlock",
    "MetadataEvent",
    "Seed",
    "SetAttachments",
    "SetDataSchema",
    "SetInfo",
    "SetLicense",
    "SetPollingSource",
    "SetTransform",
    "SetVocab",
]


def _from_base64(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise PydanticCustomError("base64", "Input should be standard base64") from error


_Base64 = Annotated[
    bytes,
    BeforeValidator(_from_base64),
    PlainSerializer(lambda data: base64.b64encode(data).decode("ascii"), return_type=str, when_used="json"),
]


class DataSlice(OdfModel):
    """Records added by one block: their hashes, offsets and file size."""

    logical_hash: Multihash
    physical_hash: Multihash
    offset_interval: OffsetInterval
    size: UInt64


class Checkpoint(OdfModel):
    """Engine state that a block left behind."""

    physical_hash: Multihash
    size: UInt64


class AddData(OdfModel):
    """Data was ingested into a root dataset."""

    kind: Literal["AddData"] = "AddData"
    prev_checkpoint: Multihash | None = None
    prev_offset: UInt64 | None = None
    new_data: DataSlice | None = None
    new_checkpoint: Checkpoint | None = None
    new_watermark: Timestamp | None = None
    new_source_state: SourceState | None = None
    extra: ExtraAttributes | None = None

    @property
    def last_offset(self) -> int | None:
        """Offset of the last record after this event."""
        return self.new_data.offset_interval.end if self.new_data else self.prev_offset


class ExecuteTransformInput(OdfModel):
    """The part of an input that one transformation read."""

    dataset_id: DatasetID
    prev_block_hash: Multihash | None = None
    new_block_hash: Multihash | None = None
    prev_offset: UInt64 | None = None
    new_offset: UInt64 | None = None

    @property
    def last_block_hash(self) -> Multihash | None:
        """Up to which block the input has been read."""
        return self.new_block_hash or self.prev_block_hash

    @property
    def last_offset(self) -> int | None:
        """Up to which offset the input has been read."""
        return self.prev_offset if self.new_offset is None else self.new_offset


class ExecuteTransform(OdfModel):
    """Data was computed in a derivative dataset."""

    kind: Literal["ExecuteTransform"] = "ExecuteTransform"
    query_inputs: ListOf[ExecuteTransformInput]
    prev_checkpoint: Multihash | None = None
    prev_offset: UInt64 | None = None
    new_data: DataSlice | None = None
    new_checkpoint: Checkpoint | None = None
    new_watermark: Timestamp | None = None

    @property
    def last_offset(self) -> int | None:
        """Offset of the last record after this event."""
        return self.new_data.offset_interval.end if self.new_data else self.prev_offset


class Seed(OdfModel):
    """First event of every chain; fixes what the dataset is."""

    kind: Literal["Seed"] = "Seed"
    dataset_id: DatasetID
    dataset_kind: DatasetKind


class SetPollingSource(OdfModel):
    """The dataset pulls its data from outside."""

    kind: Literal["SetPollingSource"] = "SetPollingSource"
    fetch: FetchStep
    prepare: ListOf[PrepStep] | None = None
    read: ReadStep
    preprocess: Transform | None = None
    merge: MergeStrategy


class SetTransform(OdfModel):
    """How a derivative dataset is computed."""

    kind: Literal["SetTransform"] = "SetTransform"
    inputs: ListOf[TransformInput]
    transform: Transform


class SetVocab(OdfModel):
    """Other names for the system columns; absent ones keep their default."""

    kind: Literal["SetVocab"] = "SetVocab"
    offset_column: str | None = None
    operation_type_column: str | None = None
    system_time_column: str | None = None
    event_time_column: str | None = None

    def to_vocabulary(self) -> DatasetVocabulary:
        """All four names, defaults filled in."""
        return DatasetVocabulary(**self.model_dump(exclude={"kind"}, exclude_none=True))


class AttachmentEmbedded(OdfModel):
    """A small file inside the metadata."""

    path: str
    content: str


class AttachmentsEmbedded(OdfModel):
    """Files inside the metadata."""

    kind: Literal["Embedded"] = "Embedded"
    items: ListOf[AttachmentEmbedded]


# A union of one: room for attachments elsewhere.
Attachments = Annotated[AttachmentsEmbedded, ByKind()]


class SetAttachments(OdfModel):
    """Files that go with the dataset, such as a readme."""

    kind: Literal["SetAttachments"] = "SetAttachments"
    attachments: Attachments


class SetInfo(OdfModel):
    """What the dataset is about."""

    kind: Literal["SetInfo"] = "SetInfo"
    description: str | None = None
    keywords: ListOf[str] | None = None


class SetLicense(OdfModel):
    """Under which terms the data may be used."""

    kind: Literal["SetLicense"] = "SetLicense"
    short_name: str
    name: str
    spdx_id: str | None = None
    website_url: str


class SetDataSchema(OdfModel):
    """What all data from here on looks like: an ODF schema, or in old chains a bare Arrow schema."""

    kind: Literal["SetDataSchema"] = "SetDataSchema"
    raw_arrow_schema: _Base64 | None = None
    # Pydantic has a method called `schema`.
    schema_: DataSchema | None = Field(default=None, alias="schema")


class AddPushSource(OdfModel):
    """Others may push data into the dataset."""

    kind: Literal["AddPushSource"] = "AddPushSource"
    source_name: str
    read: ReadStep
    preprocess: Transform | None = None
    merge: MergeStrategy


class DisablePushSource(OdfModel):
    """A push source takes no more data."""

    kind: Literal["DisablePushSource"] = "DisablePushSource"
    source_name: str


class DisablePollingSource(OdfModel):
    """The polling source is not asked any more."""

    kind: Literal["DisablePollingSource"] = "DisablePollingSource"


# In the order of the union in the FlatBuffers schema.
MetadataEvent = Annotated[
    AddData
    | ExecuteTransform
    | Seed
    | SetPollingSource
    | SetTransform
    | SetVocab
    | SetAttachments
    | SetInfo
    | SetLicense
    | SetDataSchema
    | AddPushSource
    | DisablePushSource
    | DisablePollingSource,
    ByKind(),
]


class MetadataBlock(OdfModel):
    """One link of the chain."""

    system_time: Timestamp
    prev_block_hash: Multihash | None = None
    sequence_number: UInt64
    event: MetadataEvent


class DatasetSnapshot(OdfModel):
    """A manifest that creates a dataset."""

    name: DatasetAlias
    kind: DatasetKind
    metadata: ListOf[MetadataEvent]
