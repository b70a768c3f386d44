"""Requests of ours as messages, and back."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from kamu_assets.engines import engine
from kamu_assets.engines.grpc.paths import PathMapping
from kamu_assets.engines.slices.listing import ipc_schema
from kamu_assets.odf import engine_messages
from kamu_assets.odf.identity import DatasetAlias, DatasetID


def schema_file_name(dataset: DatasetID) -> str:
    """How the file is called that shows an engine the columns of an input."""
    return f"schema-{dataset.as_multibase}.parquet"


def transform_message(
    request: engine.TransformRequest, paths: PathMapping, schema_files: Mapping[DatasetID, Path]
) -> engine_messages.TransformRequest:
    previous = request.prev_checkpoint_path
    return engine_messages.TransformRequest(
        dataset_id=request.dataset_id,
        dataset_alias=str(request.dataset_alias),
        system_time=request.system_time,
        vocab=request.vocab,
        transform=request.transform,
        query_inputs=tuple(_input_message(one, paths, schema_files[one.dataset_id]) for one in request.query_inputs),
        next_offset=request.next_offset,
        prev_checkpoint_path=paths.to_engine(str(previous)) if previous else None,
        new_checkpoint_path=paths.to_engine(str(request.new_checkpoint_path)),
        new_data_path=paths.to_engine(str(request.new_data_path)),
    )


def _input_message(
    one: engine.TransformRequestInput, paths: PathMapping, schema_file: Path
) -> engine_messages.TransformRequestInput:
    return engine_messages.TransformRequestInput(
        dataset_id=one.dataset_id,
        dataset_alias=str(one.dataset_alias),
        query_alias=one.query_alias,
        vocab=one.vocab,
        offset_interval=one.offset_interval,
        data_paths=tuple(map(paths.to_engine, one.data_paths)),
        schema_file=paths.to_engine(str(schema_file)),
        explicit_watermarks=tuple(
            engine_messages.Watermark(system_time=mark.system_time, event_time=mark.event_time)
            for mark in one.explicit_watermarks
        ),
    )


def transform_request(message: engine_messages.TransformRequest, paths: PathMapping) -> engine.TransformRequest:
    previous = message.prev_checkpoint_path
    return engine.TransformRequest(
        dataset_id=message.dataset_id,
        dataset_alias=DatasetAlias.parse(message.dataset_alias),
        system_time=message.system_time,
        vocab=message.vocab,
        transform=message.transform,
        query_inputs=tuple(_input_request(one, paths) for one in message.query_inputs),
        next_offset=message.next_offset,
        prev_checkpoint_path=Path(paths.to_node(previous)) if previous else None,
        new_checkpoint_path=Path(paths.to_node(message.new_checkpoint_path)),
        new_data_path=Path(paths.to_node(message.new_data_path)),
    )


def _input_request(one: engine_messages.TransformRequestInput, paths: PathMapping) -> engine.TransformRequestInput:
    return engine.TransformRequestInput(
        dataset_id=one.dataset_id,
        dataset_alias=DatasetAlias.parse(one.dataset_alias),
        query_alias=one.query_alias,
        vocab=one.vocab,
        offset_interval=one.offset_interval,
        data_paths=tuple(map(paths.to_node, one.data_paths)),
        schema=ipc_schema(pq.read_schema(paths.to_node(one.schema_file)).remove_metadata()),
        explicit_watermarks=tuple(
            engine.Watermark(mark.system_time, mark.event_time) for mark in one.explicit_watermarks
        ),
    )


def raw_query_message(request: engine.RawQueryRequest, paths: PathMapping) -> engine_messages.RawQueryRequest:
    return engine_messages.RawQueryRequest(
        input_data_paths=tuple(map(paths.to_engine, request.input_data_paths)),
        transform=request.transform,
        output_data_path=paths.to_engine(str(request.output_data_path)),
    )


def raw_query_request(message: engine_messages.RawQueryRequest, paths: PathMapping) -> engine.RawQueryRequest:
    return engine.RawQueryRequest(
        input_data_paths=tuple(map(paths.to_node, message.input_data_paths)),
        transform=message.transform,
        output_data_path=Path(paths.to_node(message.output_data_path)),
    )
