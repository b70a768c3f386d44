"""Where the data of a root dataset comes from: fetch, prepare, read, merge (ODF: source schemas)."""

from typing import Annotated, Literal

from pydantic import Field

from kamu_assets.odf.data import DataSchema, Int32, UInt64
from kamu_assets.odf.typedef import ByKind, ListOf, OdfEnum, OdfModel


class CompressionFormat(OdfEnum):
    """How a fetched file is packed."""

    GZIP = "Gzip"
    ZIP = "Zip"


class SourceOrdering(OdfEnum):
    """Which file of a glob comes first."""

    BY_EVENT_TIME = "ByEventTime"
    BY_NAME = "ByName"


class MqttQos(OdfEnum):
    """Delivery promise of an MQTT subscription."""

    AT_MOST_ONCE = "AtMostOnce"
    AT_LEAST_ONCE = "AtLeastOnce"
    EXACTLY_ONCE = "ExactlyOnce"


class EventTimeSourceFromMetadata(OdfModel):
    """Event time is what the source says about itself, such as `Last-Modified`."""

    kind: Literal["FromMetadata"] = "FromMetadata"


class EventTimeSourceFromPath(OdfModel):
    """Event time is a part of the file name."""

    kind: Literal["FromPath"] = "FromPath"
    pattern: str
    timestamp_format: str | None = None


class EventTimeSourceFromSystemTime(OdfModel):
    """Event time is the moment of ingestion."""

    kind: Literal["FromSystemTime"] = "FromSystemTime"


EventTimeSource = Annotated[
    EventTimeSourceFromMetadata | EventTimeSourceFromPath | EventTimeSourceFromSystemTime,
    ByKind(),
]


class SourceCachingForever(OdfModel):
    """What was fetched once never changes."""

    kind: Literal["Forever"] = "Forever"


# A union of one: room for more kinds of caching.
SourceCaching = Annotated[SourceCachingForever, ByKind()]


class RequestHeader(OdfModel):
    name: str
    value: str


class EnvVar(OdfModel):
    name: str
    value: str | None = None


class MqttTopicSubscription(OdfModel):
    path: str
    qos: MqttQos | None = None


class FetchStepUrl(OdfModel):
    """One resource at a URL."""

    kind: Literal["Url"] = "Url"
    url: str
    event_time: EventTimeSource | None = None
    cache: SourceCaching | None = None
    headers: ListOf[RequestHeader] | None = None


class FetchStepFilesGlob(OdfModel):
    """Files whose path matches a pattern."""

    kind: Literal["FilesGlob"] = "FilesGlob"
    path: str
    event_time: EventTimeSource | None = None
    cache: SourceCaching | None = None
    order: SourceOrdering | None = None


class FetchStepContainer(OdfModel):
    """The output of a container."""

    kind: Literal["Container"] = "Container"
    image: str
    command: ListOf[str] | None = None
    args: ListOf[str] | None = None
    env: ListOf[EnvVar] | None = None


class FetchStepMqtt(OdfModel):
    """Messages of an MQTT broker."""

    kind: Literal["Mqtt"] = "Mqtt"
    host: str
    port: Int32
    username: str | None = None
    password: str | None = None
    topics: ListOf[MqttTopicSubscription]


class FetchStepEthereumLogs(OdfModel):
    """Log events of an Ethereum-like chain."""

    kind: Literal["EthereumLogs"] = "EthereumLogs"
    chain_id: UInt64 | None = None
    node_url: str | None = None
    filter: str | None = None
    signature: str | None = None


FetchStep = Annotated[
    FetchStepUrl | FetchStepFilesGlob | FetchStepContainer | FetchStepMqtt | FetchStepEthereumLogs,
    ByKind(),
]


class PrepStepDecompress(OdfModel):
    """Unpack a file."""

    kind: Literal["Decompress"] = "Decompress"
    format: CompressionFormat
    sub_path: str | None = None


class PrepStepPipe(OdfModel):
    """Send the bytes through a program."""

    kind: Literal["Pipe"] = "Pipe"
    command: ListOf[str]


PrepStep = Annotated[PrepStepDecompress | PrepStepPipe, ByKind()]


# Every reader may be told the schema: as an ODF schema, or as DDL columns (never both).
# Pydantic has a method called `schema`, hence the underscore.
_ReadSchema = Annotated[DataSchema | None, Field(alias="schema")]


class ReadStepCsv(OdfModel):
    """Lines of separated values."""

    kind: Literal["Csv"] = "Csv"
    ddl_schema: ListOf[str] | None = None
    separator: str | None = None
    encoding: str | None = None
    quote: str | None = None
    escape: str | None = None
    header: bool | None = None
    infer_schema: bool | None = None
    null_value: str | None = None
    date_format: str | None = None
    timestamp_format: str | None = None
    schema_: _ReadSchema = None


class ReadStepGeoJson(OdfModel):
    """One GeoJSON feature collection."""

    kind: Literal["GeoJson"] = "GeoJson"
    ddl_schema: ListOf[str] | None = None
    schema_: _ReadSchema = None


class ReadStepEsriShapefile(OdfModel):
    """A zipped ESRI shapefile."""

    kind: Literal["EsriShapefile"] = "EsriShapefile"
    ddl_schema: ListOf[str] | None = None
    sub_path: str | None = None
    schema_: _ReadSchema = None


class ReadStepParquet(OdfModel):
    """An Apache Parquet file."""

    kind: Literal["Parquet"] = "Parquet"
    ddl_schema: ListOf[str] | None = None
    schema_: _ReadSchema = None


class ReadStepJson(OdfModel):
    """One JSON document with an array of objects inside."""

    kind: Literal["Json"] = "Json"
    sub_path: str | None = None
    ddl_schema: ListOf[str] | None = None
    date_format: str | None = None
    encoding: str | None = None
    timestamp_format: str | None = None
    schema_: _ReadSchema = None


class ReadStepNdJson(OdfModel):
    """A JSON object per line."""

    kind: Literal["NdJson"] = "NdJson"
    ddl_schema: ListOf[str] | None = None
    date_format: str | None = None
    encoding: str | None = None
    timestamp_format: str | None = None
    schema_: _ReadSchema = None


class ReadStepNdGeoJson(OdfModel):
    """A GeoJSON feature per line."""

    kind: Literal["NdGeoJson"] = "NdGeoJson"
    ddl_schema: ListOf[str] | None = None
    schema_: _ReadSchema = None


ReadStep = Annotated[
    ReadStepCsv
    | ReadStepGeoJson
    | ReadStepEsriShapefile
    | ReadStepParquet
    | ReadStepJson
    | ReadStepNdJson
    | ReadStepNdGeoJson,
    ByKind(),
]


class MergeStrategyAppend(OdfModel):
    """All records are new."""

    kind: Literal["Append"] = "Append"


class MergeStrategyLedger(OdfModel):
    """Records whose key was seen before are dropped."""

    kind: Literal["Ledger"] = "Ledger"
    primary_key: ListOf[str]


class MergeStrategySnapshot(OdfModel):
    """The source is the whole current state; what differs from history is recorded."""

    kind: Literal["Snapshot"] = "Snapshot"
    primary_key: ListOf[str]
    compare_columns: ListOf[str] | None = None


class MergeStrategyChangelogStream(OdfModel):
    """Records already say what they do, in `op`."""

    kind: Literal["ChangelogStream"] = "ChangelogStream"
    primary_key: ListOf[str]


class MergeStrategyUpsertStream(OdfModel):
    """Records insert, change or (by `op`) delete the record with their key."""

    kind: Literal["UpsertStream"] = "UpsertStream"
    primary_key: ListOf[str]


MergeStrategy = Annotated[
    MergeStrategyAppend
    | MergeStrategyLedger
    | MergeStrategySnapshot
    | MergeStrategyChangelogStream
    | MergeStrategyUpsertStream,
    ByKind(),
]


class SourceState(OdfModel):
    """What a source remembers between two fetches, such as an ETag."""

    source_name: str
    kind: str
    value: str
