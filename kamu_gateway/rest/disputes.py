"""Why an answer of some node cannot be held against it, or is wrong."""

import threading

from pydantic import JsonValue

from kamu_assets.auth.model import Caller
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.node import Node
from kamu_assets.odf.commitments import BadSignatureError, Commitment, Proof, hash_json, verify
from kamu_assets.query.errors import BlockNotFoundError
from kamu_assets.query.history.model import Door
from kamu_gateway.rest.answers import output_of, run
from kamu_gateway.rest.hashing import hash_of_output
from kamu_gateway.rest.query_form import QueryForm
from kamu_gateway.rest.verify_form import ProofForm, ProofType, VerifyForm

_VOID = "The commitment is invalid and cannot be disputed"


class DisputeError(Exception):
    """Why the answer to "is it right" is no; clients tell the kinds apart."""

    def __init__(self, kind: str, message: str, **facts: str) -> None:
        super().__init__(message)
        self.document: dict[str, JsonValue] = {"kind": kind, "message": message, **facts}


def check_commitment(form: VerifyForm, sent: JsonValue) -> None:
    """Raise DisputeError unless hashes and signature belong to what was sent, and so on for parts by other nodes."""
    assert isinstance(sent, dict)  # noqa: S101 - the form was read from it
    parts = sent["subQueries"]
    assert isinstance(parts, list)  # noqa: S101 - the same
    if hash_json(sent["input"]) != form.commitment.input_hash:
        raise _not_the_hash("InputHash", "inputHash", "input")
    if hash_json(parts) != form.commitment.sub_queries_hash:
        raise _not_the_hash("SubQueriesHash", "subQueriesHash", "subQueries")
    _check_signature(form.commitment, form.proof)
    for part, part_sent in zip(form.sub_queries, parts, strict=True):
        check_commitment(part, part_sent)


def _check_signature(commitment: Commitment, proof: ProofForm) -> None:
    if proof.type is not ProofType.ED25519:
        raise _bad_signature(f"this node checks {ProofType.ED25519} only")
    try:
        verify(commitment, Proof(verification_method=proof.verification_method, proof_value=proof.proof_value))
    except BadSignatureError as error:
        raise _bad_signature("Verification equation was not satisfied") from error


def check_answer(node: Node, caller: Caller, form: VerifyForm, left: threading.Event) -> None:
    """Raise DisputeError unless the question, asked again, has the answer committed to."""
    asked = form.input.filled()
    _find_datasets(node, caller, asked)
    try:
        found = run(node, caller, asked, is_repeatable=True, cancel=left, door=Door.REST_VERIFY)
    except BlockNotFoundError as error:
        raise DisputeError(
            "VerificationFailed::DatasetBlockNotFound",
            f"The question cannot be asked again: {error}",
            dataset_id=str(error.dataset_id),
            block_hash=str(error.block_hash),
        ) from error
    actual = hash_of_output(output_of(found, asked.schema_format))
    if actual != form.commitment.output_hash:
        raise DisputeError(
            "VerificationFailed::OutputMismatch",
            "Query was reproduced but resulted in output hash different from expected. This means that the output was"
            " either falsified, or the query reproducibility was not guaranteed by the system.",
            expected_hash=str(form.commitment.output_hash),
            actual_hash=str(actual),
        )


def _find_datasets(node: Node, caller: Caller, asked: QueryForm) -> None:
    for pinned in asked.datasets or ():
        try:
            node.datasets.resolve(caller, pinned.id)
        except DatasetNotFoundError as error:
            raise DisputeError(
                "VerificationFailed::DatasetNotFound",
                f"The question cannot be asked again: {error}",
                dataset_id=str(pinned.id),
            ) from error


def _not_the_hash(kind: str, member: str, document: str) -> DisputeError:
    return DisputeError(
        f"InvalidRequest::{kind}", f"{_VOID}: commitment.{member} doesn't match the hash of {document} object"
    )


def _bad_signature(reason: str) -> DisputeError:
    return DisputeError("InvalidRequest::BadSignature", f"{_VOID}: {reason}")
