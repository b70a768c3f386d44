"""What `POST /verify` is given: an answer of some node without its output."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

from kamu_assets.errors import InvalidError
from kamu_assets.odf import multibase
from kamu_assets.odf.commitments import Commitment
from kamu_assets.odf.did import DidKey
from kamu_gateway.rest.query_form import QueryForm

_SIGNATURE_BYTES = 64


class ProofType(StrEnum):
    """Kinds of signatures that proofs have."""

    ED25519 = "Ed25519Signature2020"
    SECP256K1 = "EcdsaSecp256k1Signature2019"


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, frozen=True)


class ProofForm(_Form):
    """A signature over a commitment and whose it is."""

    type: ProofType
    verification_method: DidKey
    proof_value: str

    @field_validator("proof_value")
    @classmethod
    def _is_signature(cls, text: str) -> str:
        try:
            length = len(multibase.decode(text))
        except InvalidError as error:
            raise ValueError(str(error)) from error
        if length != _SIGNATURE_BYTES:
            raise ValueError(f"a signature has {_SIGNATURE_BYTES} bytes, not {length}")
        return text


class VerifyForm(_Form):
    """The body; `input` and `subQueries` are hashed as they were sent. What other nodes contributed looks the same."""

    input: QueryForm
    sub_queries: Annotated[tuple["VerifyForm", ...], Field(strict=False)]
    commitment: Commitment
    proof: ProofForm
