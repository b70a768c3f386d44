"""Messages of the smart transfer protocol: one JSON document in each text frame (ODF RFC-008).

A frame does not say what it is, each side knows what comes next. Outcomes are `{"Ok": …}` or `{"Err": {"Why": {…}}}`.
Unknown fields are ignored, everything else unexpected is an error.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    RootModel,
    ValidationError,
)
from pydantic_core import CoreSchema, core_schema

from kamu_assets.errors import InvalidError
from kamu_assets.odf.data import UInt32, UInt64
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.odf.typedef import ListOf

PROTOCOL_VERSION = 1

_Value = TypeVar("_Value")
_Reason = TypeVar("_Reason")
_Message = TypeVar("_Message", bound=BaseModel)


class MalformedMessageError(InvalidError):
    """A frame that is not the message which comes next."""


class Message(BaseModel):
    """A JSON object of the protocol."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", populate_by_name=True)


class ByTag:
    """Annotation of a union of models that are written `{"Name": {…}}`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        models: tuple[type[BaseModel], ...] = get_args(source) or (source,)
        wrapped: dict[str, Any] = {
            model.__name__: core_schema.typed_dict_schema(
                {model.__name__: core_schema.typed_dict_field(handler.generate_schema(model))}
            )
            for model in models
        }
        read = core_schema.no_info_after_validator_function(
            lambda value: next(iter(value.values())), core_schema.tagged_union_schema(wrapped, discriminator=_only_key)
        )
        ready = core_schema.union_schema([core_schema.is_instance_schema(model) for model in models])
        return core_schema.json_or_python_schema(
            json_schema=read,
            python_schema=core_schema.union_schema([ready, read], mode="left_to_right"),
            serialization=core_schema.plain_serializer_function_ser_schema(_tagged),
        )


def _only_key(value: Any) -> str | None:
    return next(iter(value)) if isinstance(value, Mapping) and len(value) == 1 else None


def _tagged(value: BaseModel) -> dict[str, Any]:
    return {type(value).__name__: value.model_dump(mode="json", by_alias=True)}


class Ok(Message, Generic[_Value]):
    """The request is accepted."""

    value: _Value = Field(alias="Ok")


class Err(Message, Generic[_Reason]):
    """The request is refused."""

    reason: _Reason = Field(alias="Err")


class Empty(Message):
    """`{}`: a message that says all by coming now."""


# Parts of messages


class TransferPlan(Message):
    """How much is about to move."""

    num_blocks: UInt32
    num_objects: UInt32
    num_records: UInt64
    bytes_in_raw_blocks: UInt64
    bytes_in_raw_objects: UInt64


def _bytes_of_numbers(value: Any) -> Any:
    try:
        return bytes(value) if isinstance(value, list) else value
    except TypeError as error:
        msg = "expected numbers from 0 to 255"
        raise ValueError(msg) from error


class BlocksBatch(Message):
    """Metadata blocks as a compressed tarball, which JSON carries as an array of byte values."""

    num_blocks: UInt32
    media_type: Literal["application/tar+gzip"] = "application/tar+gzip"
    encoding: Literal["raw"] = "raw"
    payload: Annotated[bytes, BeforeValidator(_bytes_of_numbers), PlainSerializer(list, return_type=list[int])]


class ObjectFile(Message):
    object_type: Literal["DataSlice", "Checkpoint"]
    physical_hash: Multihash
    size: UInt64


class Header(Message):
    name: str
    value: str


class TransferUrl(Message):
    """Where an object is read or written, and the headers that the request must have."""

    url: str
    headers: ListOf[Header]
    expires_at: Timestamp | None = None


class ObjectPullStrategy(Message):
    object_file: ObjectFile
    pull_strategy: Literal["HttpDownload"] = "HttpDownload"
    download_from: TransferUrl


class ObjectPushStrategy(Message):
    object_file: ObjectFile
    push_strategy: Literal["SkipUpload", "HttpUpload"]
    upload_to: TransferUrl | None = None


# Reasons of refusals


class InvalidInterval(Message):
    """The blocks asked for are no part of the chain: the two sides diverged."""

    head: Multihash
    tail: Multihash


class InvalidHead(Message):
    """The receiver's head is not the one the sender believes in; `actual_head` is the sender's."""

    actual_head: Multihash | None = None
    expected_head: Multihash | None = None


class SeedBlockOverwriteRestricted(Message):
    """Force may replace the history of a dataset but not its identity."""


class RefCollision(Message):
    """Another dataset has this identity."""

    dataset_id: DatasetID


class NameCollision(Message):
    """Another dataset has this name."""

    dataset_alias: DatasetAlias


class Internal(Message):
    """Anything else; `phase` is where it happened, as in `{"Pull": "InitialRequest"}`."""

    phase: dict[Literal["Pull", "Push"], str]
    error_message: str


PullError = Annotated[InvalidInterval | Internal, ByTag()]
PushError = Annotated[
    InvalidHead | SeedBlockOverwriteRestricted | RefCollision | NameCollision | Internal,
    ByTag(),
]


# Pull, in order


class PullRequest(Message):
    """Client: the blocks after `begin_after` up to `stop_at`, or the head."""

    begin_after: Multihash | None = None
    stop_at: Multihash | None = None
    force_update_if_diverged: bool


class PullAccepted(Message):
    transfer_plan: TransferPlan


class PullResponse(RootModel[Ok[PullAccepted] | Err[PullError]]):
    """Server: the plan, or why not. The client asks for the blocks with `Empty`."""


class PullBlocks(Message):
    """Server: all blocks of the plan."""

    blocks: BlocksBatch


class PullObjectsRequest(Message):
    """Client: the objects it has not."""

    object_files: ListOf[ObjectFile]


class PullObjectsResponse(Message):
    """Server: where each of them is."""

    object_transfer_strategies: ListOf[ObjectPullStrategy]


# Push, in order


class PushRequest(Message):
    """Client: what it will send on top of the head that it believes the server has."""

    current_head: Multihash | None = None
    transfer_plan: TransferPlan
    force_update_if_diverged: bool
    visibility_for_created_dataset: Literal["Private", "Public"]


class PushResponse(RootModel[Ok[Empty] | Err[PushError]]):
    """Server: go on, or why not; it answers the request and the blocks so."""


class PushBlocks(Message):
    """Client: all blocks of the plan."""

    new_blocks: BlocksBatch


class PushObjectsRequest(Message):
    """Client: the objects that it can send; after a truncated list another one comes."""

    object_files: ListOf[ObjectFile]
    is_truncated: bool


class PushTargets(Message):
    object_transfer_strategies: ListOf[ObjectPushStrategy]


class PushObjectsResponse(RootModel[Ok[PushTargets] | Err[PushError]]):
    """Server: where each of them goes. It asks for progress with `Empty`."""


class Running(Message):
    uploaded_objects_count: UInt32


class PushProgress(Message):
    """Client: how far it is; `Complete` comes unasked. Then `Empty` asks to finish, and `Empty` says it is done."""

    details: Literal["Complete"] | Annotated[Running, ByTag()]


def parse_message(message: type[_Message], text: str | bytes) -> _Message:
    """Read the frame that must be a `message`."""
    try:
        return message.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise MalformedMessageError(
            f"not a {message.__name__}: {where + ': ' if where else ''}{first['msg']}"
        ) from error


def dump_message(message: BaseModel) -> str:
    """The frame of a message: absent options are null."""
    return message.model_dump_json(by_alias=True)
