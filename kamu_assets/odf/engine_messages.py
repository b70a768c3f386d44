"""What a coordinator and an engine process tell each other (ODF: RawQueryRequest … TransformResponse).

Paths are those that the engine sees. Progress has no content; Success, InvalidQuery and InternalError end a call.
"""

from kamu_assets.odf.data import DatasetVocabulary, OffsetInterval
from kamu_assets.odf.engine import Transform
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.odf.typedef import ListOf, OdfModel


class RawQueryRequest(OdfModel):
    """A query over files outside of any dataset. The table is called `input`."""

    input_data_paths: ListOf[str]
    transform: Transform
    output_data_path: str


class RawQueryResponseProgress(OdfModel):
    """The query is being executed."""


class RawQueryResponseSuccess(OdfModel):
    """The result was written."""

    num_records: int = 0


class RawQueryResponseInvalidQuery(OdfModel):
    """The author of the query has to change it."""

    message: str


class RawQueryResponseInternalError(OdfModel):
    """The query failed on this data, or the engine did."""

    message: str
    backtrace: str | None = None


class Watermark(OdfModel):
    """`event_time` became complete at `system_time`."""

    system_time: Timestamp
    event_time: Timestamp


class TransformRequestInput(OdfModel):
    """News of one input; `schema_file` is a Parquet file without rows."""

    dataset_id: DatasetID
    # For logs only.
    dataset_alias: str
    query_alias: str
    vocab: DatasetVocabulary
    offset_interval: OffsetInterval | None = None
    data_paths: ListOf[str]
    schema_file: str
    explicit_watermarks: ListOf[Watermark]


class TransformRequest(OdfModel):
    """One step of a derivative dataset."""

    dataset_id: DatasetID
    # For logs only.
    dataset_alias: str
    system_time: Timestamp
    vocab: DatasetVocabulary
    transform: Transform
    query_inputs: ListOf[TransformRequestInput]
    next_offset: int = 0
    prev_checkpoint_path: str | None = None
    new_checkpoint_path: str
    new_data_path: str


class TransformResponseProgress(OdfModel):
    """The transform is being executed."""


class TransformResponseSuccess(OdfModel):
    """The slice was written; without rows it names no interval."""

    new_offset_interval: OffsetInterval | None = None
    new_watermark: Timestamp | None = None


class TransformResponseInvalidQuery(OdfModel):
    """The author of the query has to change it."""

    message: str


class TransformResponseInternalError(OdfModel):
    """The query failed on this data, or the engine did."""

    message: str
    backtrace: str | None = None


RawQueryResponse = (
    RawQueryResponseProgress | RawQueryResponseSuccess | RawQueryResponseInvalidQuery | RawQueryResponseInternalError
)
TransformResponse = (
    TransformResponseProgress
    | TransformResponseSuccess
    | TransformResponseInvalidQuery
    | TransformResponseInternalError
)


class RawQueryResponseRoot(OdfModel):
    """FlatBuffers has no unions at the root."""

    value: RawQueryResponse


class TransformResponseRoot(OdfModel):
    """FlatBuffers has no unions at the root."""

    value: TransformResponse
