"""The documents that the doors answer with, for the description of the API; each is written where it is made."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel

from kamu_assets.odf.commitments import Commitment
from kamu_assets.query.formats.schemas import SchemaFormat
from kamu_assets.query.model import DataFormat
from kamu_gateway.rest.query_form import QueryForm
from kamu_gateway.rest.verify_form import ProofForm, VerifyForm


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, validate_by_name=True)


class Failure(_Document):
    """Why not, in words."""

    message: str


class NodeInfo(_Document):
    """Whether names of datasets begin with an account."""

    is_multi_tenant: bool


class AccountInfo(_Document):
    """Who the caller is."""

    id: str
    account_name: str


class DatasetOwner(_Document):
    """Whose a dataset is."""

    account_name: str
    account_id: str


class DatasetInfo(_Document):
    """The names of a dataset."""

    id: str
    owner: DatasetOwner
    dataset_name: str


class Health(_Document):
    """Whether the node can do its work, and what is in the way."""

    ok: bool
    reason: str | None = None


class BuildInfo(_Document):
    """What is running."""

    app_version: str


class Rows(_Document):
    """Rows in the layout that was asked for; the schema if one was asked for."""

    data: list[JsonValue] | dict[str, list[JsonValue]]
    data_format: DataFormat
    schema_: dict[str, JsonValue] | str | None = Field(None, alias="schema")
    schema_format: SchemaFormat | None = None


class QueryAnswer(_Document):
    """Rows; with `include` also the whole question, and what the node signs."""

    input: QueryForm | None = None
    output: Rows
    sub_queries: list[VerifyForm] | None = None
    commitment: Commitment | None = None
    proof: ProofForm | None = None


class Reference(_Document):
    """A named block."""

    name: str
    block_hash: str


class Metadata(_Document):
    """What of the metadata was asked for and exists."""

    attachments: dict[str, JsonValue] | None = None
    info: dict[str, JsonValue] | None = None
    license: dict[str, JsonValue] | None = None
    refs: list[Reference] | None = None
    schema_: dict[str, JsonValue] | str | None = Field(None, alias="schema")
    schema_format: SchemaFormat | None = None
    seed: dict[str, JsonValue] | None = None
    vocab: dict[str, JsonValue] | None = None


class MetadataAnswer(_Document):
    """What a chain says now."""

    output: Metadata


class Dispute(BaseModel):
    """Why an answer cannot be disputed, or is wrong."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal[
        "InvalidRequest::InputHash",
        "InvalidRequest::SubQueriesHash",
        "InvalidRequest::BadSignature",
        "VerificationFailed::OutputMismatch",
        "VerificationFailed::DatasetNotFound",
        "VerificationFailed::DatasetBlockNotFound",
    ]
    message: str
    expected_hash: str | None = None
    actual_hash: str | None = None
    dataset_id: str | None = None
    block_hash: str | None = None


class Verdict(_Document):
    """Whether an answer is right."""

    ok: bool
    error: Dispute | None = None


REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"model": Failure, "description": "Refused; some refusals are plain text or have no body"}
}
"""What every operation may answer."""
NEEDS_TOKEN: Final = {"security": [{"api_key": list[str]()}]}
"""What an operation says that anonymous callers are refused."""
