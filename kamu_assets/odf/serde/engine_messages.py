"""The binary form of what coordinator and engine tell each other: bare FlatBuffers, without identifier or size.

Order of fields and of union members is the wire format: never reorder, only append.
"""

import struct
from typing import Final, TypeVar

from kamu_assets.errors import InvalidError
from kamu_assets.odf import data, engine_messages
from kamu_assets.odf.engine_messages import (
    RawQueryRequest,
    RawQueryResponse,
    RawQueryResponseRoot,
    TransformRequest,
    TransformResponse,
    TransformResponseRoot,
)
from kamu_assets.odf.serde.layout import DID, INTERVAL, TRANSFORM
from kamu_assets.odf.serde.reader import Reader
from kamu_assets.odf.serde.tables import Table, Text, Union, Vector
from kamu_assets.odf.serde.wire import Moment, Scalar, UnencodableError, Writer
from kamu_assets.odf.typedef import OdfModel

_Message = TypeVar("_Message", bound=OdfModel)
_ALIGNMENT: Final = 4
_TEXT = Text()
_TEXTS = Vector(_TEXT)
_MOMENT = Moment()
_U64 = Scalar("Q", 0)

_VOCAB = Table(
    data.DatasetVocabulary,
    offset_column=_TEXT,
    operation_type_column=_TEXT,
    system_time_column=_TEXT,
    event_time_column=_TEXT,
)
_INPUT = Table(
    engine_messages.TransformRequestInput,
    dataset_id=DID,
    dataset_alias=_TEXT,
    query_alias=_TEXT,
    vocab=_VOCAB,
    offset_interval=INTERVAL,
    data_paths=_TEXTS,
    schema_file=_TEXT,
    explicit_watermarks=Vector(Table(engine_messages.Watermark, system_time=_MOMENT, event_time=_MOMENT)),
)
_TRANSFORM_REQUEST = Table(
    TransformRequest,
    dataset_id=DID,
    dataset_alias=_TEXT,
    system_time=_MOMENT,
    vocab=_VOCAB,
    transform=TRANSFORM,
    query_inputs=Vector(_INPUT),
    next_offset=_U64,
    prev_checkpoint_path=_TEXT,
    new_checkpoint_path=_TEXT,
    new_data_path=_TEXT,
)
_TRANSFORM_RESPONSE = Table(
    TransformResponseRoot,
    value=Union(
        Table(engine_messages.TransformResponseProgress),
        Table(engine_messages.TransformResponseSuccess, new_offset_interval=INTERVAL, new_watermark=_MOMENT),
        Table(engine_messages.TransformResponseInvalidQuery, message=_TEXT),
        Table(engine_messages.TransformResponseInternalError, message=_TEXT, backtrace=_TEXT),
    ),
)
_RAW_QUERY_REQUEST = Table(RawQueryRequest, input_data_paths=_TEXTS, transform=TRANSFORM, output_data_path=_TEXT)
_RAW_QUERY_RESPONSE = Table(
    RawQueryResponseRoot,
    value=Union(
        Table(engine_messages.RawQueryResponseProgress),
        Table(engine_messages.RawQueryResponseSuccess, num_records=_U64),
        Table(engine_messages.RawQueryResponseInvalidQuery, message=_TEXT),
        Table(engine_messages.RawQueryResponseInternalError, message=_TEXT, backtrace=_TEXT),
    ),
)


class MalformedMessageError(InvalidError):
    """The bytes are not the message that was expected."""


def encode_transform_request(request: TransformRequest) -> bytes:
    """The bytes of a request, the same ones that kamu sends."""
    return _encode(_TRANSFORM_REQUEST, request)


def decode_transform_request(content: bytes) -> TransformRequest:
    return _decode(_TRANSFORM_REQUEST, content, TransformRequest)


def encode_transform_response(response: TransformResponse) -> bytes:
    return _encode(_TRANSFORM_RESPONSE, TransformResponseRoot(value=response))


def decode_transform_response(content: bytes) -> TransformResponse:
    return _decode(_TRANSFORM_RESPONSE, content, TransformResponseRoot).value


def encode_raw_query_request(request: RawQueryRequest) -> bytes:
    """The bytes of a request, the same ones that kamu sends."""
    return _encode(_RAW_QUERY_REQUEST, request)


def decode_raw_query_request(content: bytes) -> RawQueryRequest:
    return _decode(_RAW_QUERY_REQUEST, content, RawQueryRequest)


def encode_raw_query_response(response: RawQueryResponse) -> bytes:
    return _encode(_RAW_QUERY_RESPONSE, RawQueryResponseRoot(value=response))


def decode_raw_query_response(content: bytes) -> RawQueryResponse:
    return _decode(_RAW_QUERY_RESPONSE, content, RawQueryResponseRoot).value


def _encode(table: Table, message: OdfModel) -> bytes:
    writer = Writer(timestamp_alignment=_ALIGNMENT)
    try:
        root = table.prepare(writer, message)
    except UnicodeEncodeError as error:
        raise UnencodableError("a text with half a surrogate pair is not Unicode") from error
    return writer.builder.finish(root)


def _decode(table: Table, content: bytes, kind: type[_Message]) -> _Message:
    try:
        message = table.read_at(Reader(content), 0)
    except (struct.error, ValueError, IndexError, RecursionError, InvalidError) as error:
        raise MalformedMessageError(f"no {kind.__name__}: {error}") from error
    if not isinstance(message, kind):
        raise TypeError(type(message))
    return message
