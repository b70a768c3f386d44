"""Which field lies where: the tables of `opendatafabric.fbs` that a metadata block can contain.

Order of fields and of union members is the wire format: never reorder, only append.
"""

from kamu_assets.odf import data, dataset, engine, source
from kamu_assets.odf.identity import DatasetID, DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.tables import Bytes, Extra, Table, Text, Union, Vector, Wrapper
from kamu_assets.odf.serde.wire import Moment, Scalar, Word

_TEXT = Text()
_TEXTS = Vector(_TEXT)
_RAW = Bytes()
_HASH = Bytes(Multihash.to_bytes, Multihash.from_bytes)
DID = Bytes(DatasetID.to_bytes, DatasetID.from_bytes)
_MOMENT = Moment()
_EXTRA = Extra()
_U64, _U32, _I32 = Scalar("Q", 0), Scalar("I", 0), Scalar("i", 0)
_OPTIONAL_U64, _OPTIONAL_BOOL = Scalar("Q"), Scalar("?")
_OPTIONAL_UNIT = Word(data.TimeUnit, "h", optional=True)

# Types contain types: the members follow below.
_TYPE = Union()
_FIELD = Table(data.DataField, name=_TEXT, type=_TYPE, extra=_EXTRA)
_SCHEMA = Table(data.DataSchema, fields=Vector(_FIELD), extra=_EXTRA)
_TYPE.members = (
    Table(data.BinaryType, fixed_length=_OPTIONAL_U64),
    Table(data.BoolType),
    Table(data.DateType),
    Table(data.DecimalType, precision=_U32, scale=_I32),
    Table(data.DurationType, unit=_OPTIONAL_UNIT),
    Table(data.Float16Type),
    Table(data.Float32Type),
    Table(data.Float64Type),
    Table(data.Int8Type),
    Table(data.Int16Type),
    Table(data.Int32Type),
    Table(data.Int64Type),
    Table(data.UInt8Type),
    Table(data.UInt16Type),
    Table(data.UInt32Type),
    Table(data.UInt64Type),
    Table(data.ListType, item_type=_TYPE, fixed_length=_OPTIONAL_U64),
    Table(data.MapType, key_type=_TYPE, value_type=_TYPE, keys_sorted=_OPTIONAL_BOOL),
    Table(data.NullType),
    Table(data.OptionType, inner=_TYPE),
    Table(data.StructType, fields=Vector(_FIELD)),
    Table(data.TimeType, unit=_OPTIONAL_UNIT),
    Table(data.TimestampType, unit=_OPTIONAL_UNIT, timezone=_TEXT),
    Table(data.StringType),
)

_EVENT_TIME = Union(
    Table(source.EventTimeSourceFromMetadata),
    Table(source.EventTimeSourceFromPath, pattern=_TEXT, timestamp_format=_TEXT),
    Table(source.EventTimeSourceFromSystemTime),
)
_CACHE = Union(Table(source.SourceCachingForever))
_FETCH = Union(
    Table(
        source.FetchStepUrl,
        url=_TEXT,
        event_time=_EVENT_TIME,
        cache=_CACHE,
        headers=Vector(Table(source.RequestHeader, name=_TEXT, value=_TEXT)),
    ),
    Table(
        source.FetchStepFilesGlob,
        path=_TEXT,
        event_time=_EVENT_TIME,
        cache=_CACHE,
        order=Word(source.SourceOrdering, "i", optional=True),
    ),
    Table(
        source.FetchStepContainer,
        image=_TEXT,
        command=_TEXTS,
        args=_TEXTS,
        env=Vector(Table(source.EnvVar, name=_TEXT, value=_TEXT)),
    ),
    Table(
        source.FetchStepMqtt,
        host=_TEXT,
        port=_I32,
        username=_TEXT,
        password=_TEXT,
        topics=Vector(
            Table(source.MqttTopicSubscription, path=_TEXT, qos=Word(source.MqttQos, "i", optional=True)),
        ),
    ),
    Table(
        source.FetchStepEthereumLogs,
        chain_id=_OPTIONAL_U64,
        node_url=_TEXT,
        filter=_TEXT,
        signature=_TEXT,
    ),
)
_PREPARE = Union(
    Table(source.PrepStepDecompress, format=Word(source.CompressionFormat, "i"), sub_path=_TEXT),
    Table(source.PrepStepPipe, command=_TEXTS),
)
_READ = Union(
    Table(
        source.ReadStepCsv,
        ddl_schema=_TEXTS,
        separator=_TEXT,
        encoding=_TEXT,
        quote=_TEXT,
        escape=_TEXT,
        header=_OPTIONAL_BOOL,
        infer_schema=_OPTIONAL_BOOL,
        null_value=_TEXT,
        date_format=_TEXT,
        timestamp_format=_TEXT,
        schema_=_SCHEMA,
    ),
    Table(source.ReadStepGeoJson, ddl_schema=_TEXTS, schema_=_SCHEMA),
    Table(source.ReadStepEsriShapefile, ddl_schema=_TEXTS, sub_path=_TEXT, schema_=_SCHEMA),
    Table(source.ReadStepParquet, ddl_schema=_TEXTS, schema_=_SCHEMA),
    Table(
        source.ReadStepJson,
        sub_path=_TEXT,
        ddl_schema=_TEXTS,
        date_format=_TEXT,
        encoding=_TEXT,
        timestamp_format=_TEXT,
        schema_=_SCHEMA,
    ),
    Table(
        source.ReadStepNdJson,
        ddl_schema=_TEXTS,
        date_format=_TEXT,
        encoding=_TEXT,
        timestamp_format=_TEXT,
        schema_=_SCHEMA,
    ),
    Table(source.ReadStepNdGeoJson, ddl_schema=_TEXTS, schema_=_SCHEMA),
)
_MERGE = Union(
    Table(source.MergeStrategyAppend),
    Table(source.MergeStrategyLedger, primary_key=_TEXTS),
    Table(source.MergeStrategySnapshot, primary_key=_TEXTS, compare_columns=_TEXTS),
    Table(source.MergeStrategyChangelogStream, primary_key=_TEXTS),
    Table(source.MergeStrategyUpsertStream, primary_key=_TEXTS),
)
TRANSFORM = Union(
    Table(
        engine.TransformSql,
        engine=_TEXT,
        version=_TEXT,
        query=_TEXT,
        queries=Vector(Table(engine.SqlQueryStep, alias=_TEXT, query=_TEXT)),
        temporal_tables=Vector(Table(engine.TemporalTable, name=_TEXT, primary_key=_TEXTS)),
    ),
)

INTERVAL = Table(data.OffsetInterval, start=_U64, end=_U64)
_SLICE = Table(dataset.DataSlice, logical_hash=_HASH, physical_hash=_HASH, offset_interval=INTERVAL, size=_U64)
_CHECKPOINT = Table(dataset.Checkpoint, physical_hash=_HASH, size=_U64)
_QUERY_INPUT = Table(
    dataset.ExecuteTransformInput,
    dataset_id=DID,
    prev_block_hash=_HASH,
    new_block_hash=_HASH,
    prev_offset=_OPTIONAL_U64,
    new_offset=_OPTIONAL_U64,
)
_ATTACHMENTS = Union(
    Table(
        dataset.AttachmentsEmbedded,
        items=Vector(Table(dataset.AttachmentEmbedded, path=_TEXT, content=_TEXT)),
    ),
)

EVENT = Union(
    Table(
        dataset.AddData,
        prev_checkpoint=_HASH,
        prev_offset=_OPTIONAL_U64,
        new_data=_SLICE,
        new_checkpoint=_CHECKPOINT,
        new_watermark=_MOMENT,
        new_source_state=Table(source.SourceState, source_name=_TEXT, kind=_TEXT, value=_TEXT),
        extra=_EXTRA,
    ),
    Table(
        dataset.ExecuteTransform,
        query_inputs=Vector(_QUERY_INPUT),
        prev_checkpoint=_HASH,
        prev_offset=_OPTIONAL_U64,
        new_data=_SLICE,
        new_checkpoint=_CHECKPOINT,
        new_watermark=_MOMENT,
    ),
    Table(dataset.Seed, dataset_id=DID, dataset_kind=Word(DatasetKind, "i")),
    Table(
        dataset.SetPollingSource,
        fetch=_FETCH,
        prepare=Vector(Wrapper(_PREPARE)),
        read=_READ,
        preprocess=TRANSFORM,
        merge=_MERGE,
    ),
    Table(
        dataset.SetTransform,
        inputs=Vector(Table(engine.TransformInput, dataset_ref=_TEXT, alias=_TEXT)),
        transform=TRANSFORM,
    ),
    Table(
        dataset.SetVocab,
        offset_column=_TEXT,
        operation_type_column=_TEXT,
        system_time_column=_TEXT,
        event_time_column=_TEXT,
    ),
    Table(dataset.SetAttachments, attachments=_ATTACHMENTS),
    Table(dataset.SetInfo, description=_TEXT, keywords=_TEXTS),
    Table(dataset.SetLicense, short_name=_TEXT, name=_TEXT, spdx_id=_TEXT, website_url=_TEXT),
    Table(dataset.SetDataSchema, raw_arrow_schema=_RAW, schema_=_SCHEMA),
    Table(dataset.AddPushSource, source_name=_TEXT, read=_READ, preprocess=TRANSFORM, merge=_MERGE),
    Table(dataset.DisablePushSource, source_name=_TEXT),
    Table(dataset.DisablePollingSource),
)

BLOCK = Table(
    dataset.MetadataBlock,
    system_time=_MOMENT,
    prev_block_hash=_HASH,
    sequence_number=_U64,
    event=EVENT,
)
