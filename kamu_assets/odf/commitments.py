"""What a node signs when it answers a query: hashes of question and answer (ODF: Query Proofs)."""

from typing import Literal, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import JsonValue

from kamu_assets.errors import InvalidError
from kamu_assets.odf import multibase
from kamu_assets.odf.canonical_json import canonical_json
from kamu_assets.odf.did import DidKey
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.typedef import OdfModel


class BadSignatureError(InvalidError):
    """The signature was not made over this commitment with this key."""


class Commitment(OdfModel):
    """Question, answer and the parts of it that others answered, as hashes."""

    input_hash: Multihash
    output_hash: Multihash
    sub_queries_hash: Multihash

    @classmethod
    def to(cls, *, query: JsonValue, answer: JsonValue, sub_queries: JsonValue) -> Self:
        """Commit to the `input`, `output` and `subQueries` documents of a response."""
        return cls(input_hash=hash_json(query), output_hash=hash_json(answer), sub_queries_hash=hash_json(sub_queries))


class Proof(OdfModel):
    """A signature over a commitment, and the public key that checks it."""

    type: Literal["Ed25519Signature2020"] = "Ed25519Signature2020"
    verification_method: DidKey
    proof_value: str


def hash_json(value: JsonValue) -> Multihash:
    """SHA3-256 of the canonical form of a JSON document."""
    return Multihash.sha3_256(canonical_json(value))


def sign(commitment: Commitment, private_key: bytes) -> Proof:
    """Sign with the 32 bytes of an Ed25519 private key."""
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    return Proof(
        verification_method=DidKey.from_public_key(key.public_key().public_bytes_raw()),
        proof_value=multibase.encode_base64url(key.sign(_signed_bytes(commitment))),
    )


def verify(commitment: Commitment, proof: Proof) -> None:
    """Raise unless the holder of the key named by `proof` signed `commitment`."""
    try:
        key = Ed25519PublicKey.from_public_bytes(proof.verification_method.public_key)
        key.verify(multibase.decode(proof.proof_value), _signed_bytes(commitment))
    except (InvalidSignature, InvalidError, ValueError) as error:
        raise BadSignatureError(f"not signed by {proof.verification_method}") from error


def _signed_bytes(commitment: Commitment) -> bytes:
    return canonical_json(commitment.model_dump(mode="json", by_alias=True))
