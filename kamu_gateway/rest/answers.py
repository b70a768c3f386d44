"""What an answer says: rows, their schema if it was wanted, what exactly was asked, and the node's word for it."""

import json
import threading
from typing import Final

from pydantic import JsonValue

from kamu_assets.auth.model import Caller
from kamu_assets.auth.node_key import NodeKey
from kamu_assets.node import Node
from kamu_assets.odf.commitments import Commitment, hash_json
from kamu_assets.odf.data import DataSchema
from kamu_assets.query.formats.schemas import SchemaFormat, describe_schema, odf_schema
from kamu_assets.query.history.model import Door
from kamu_assets.query.model import DatasetPin, QueryRequest, QueryResponse
from kamu_gateway.edge.origin import origin_at
from kamu_gateway.rest.hashing import hash_of_output
from kamu_gateway.rest.query_form import Include, PinnedDataset, QueryForm

# No other node took part in answering.
SUB_QUERIES: Final[list[JsonValue]] = []


def run(
    node: Node, caller: Caller, form: QueryForm, *, is_repeatable: bool, cancel: threading.Event, door: Door
) -> QueryResponse:
    """Ask what the form says."""
    pins = tuple(DatasetPin(pinned.id, pinned.alias, pinned.block_hash) for pinned in form.datasets or ())
    question = QueryRequest(
        form.query,
        skip=form.skip,
        limit=form.limit,
        data_format=form.data_format,
        datasets=pins,
        is_repeatable=is_repeatable,
    )
    return node.query.query(caller, question, cancel=cancel, origin=origin_at(door))


def output_of(found: QueryResponse, schema_format: SchemaFormat | None) -> bytes:
    """Rows and schema as a JSON object."""
    rows = b'"data":%b,"dataFormat":"%b"' % (found.data, found.data_format.value.encode())
    if schema_format is None:
        return b"{%b}" % rows
    schema = _json(schema_of(odf_schema(found.schema), schema_format))
    return b'{%b,"schema":%b,"schemaFormat":"%b"}' % (rows, schema, schema_format.value.encode())


def schema_of(schema: DataSchema, schema_format: SchemaFormat) -> JsonValue:
    """A schema in a document of this door, where the members of its objects come in alphabetical order."""
    return _in_order(describe_schema(schema, schema_format))


def input_of(form: QueryForm, found: QueryResponse) -> JsonValue:
    """The question with everything said that decides about the answer: to be asked again, by anybody."""
    pinned = tuple(PinnedDataset(id=read.id, alias=read.alias, block_hash=read.block_hash) for read in found.datasets)
    whole = form.model_copy(update={"datasets": pinned, "limit": found.limit})
    said: JsonValue = whole.model_dump(mode="json", by_alias=True, exclude_none=True)
    return said


def answer_of(form: QueryForm, found: QueryResponse, key: NodeKey) -> bytes:
    """The whole answer to a form that is `filled`."""
    output = output_of(found, form.schema_format)
    if not {Include.INPUT, Include.PROOF} & set(form.include):
        return b'{"output":%b}' % output
    said = input_of(form, found)
    parts = [b'"input":%b' % _json(said), b'"output":%b' % output]
    if Include.PROOF in form.include:
        commitment = Commitment(
            input_hash=hash_json(said), output_hash=hash_of_output(output), sub_queries_hash=hash_json(SUB_QUERIES)
        )
        parts += _signed(commitment, key)
    return b"{%b}" % b",".join(parts)


def _signed(commitment: Commitment, key: NodeKey) -> list[bytes]:
    proof = key.sign(commitment)
    return [
        b'"subQueries":%b' % _json(SUB_QUERIES),
        b'"commitment":%b' % commitment.model_dump_json(by_alias=True).encode(),
        b'"proof":%b' % proof.model_dump_json(by_alias=True).encode(),
    ]


def _in_order(value: JsonValue) -> JsonValue:
    match value:
        case dict():
            return {name: _in_order(value[name]) for name in sorted(value)}
        case list():
            return [_in_order(item) for item in value]
        case _:
            return value


def _json(value: JsonValue) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
