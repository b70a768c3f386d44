"""`GET /{account}/{dataset}/metadata`: what a chain says now, part by part."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import JsonValue

from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import DataSchema
from kamu_assets.odf.typedef import OdfModel
from kamu_assets.query.formats.schemas import SchemaFormat
from kamu_gateway.edge.datasets import DATASET, Admitted, DatasetRoute
from kamu_gateway.edge.errors import TextAnswerError
from kamu_gateway.edge.node import CurrentNode
from kamu_gateway.rest.answers import schema_of
from kamu_gateway.rest.documents import REFUSED, MetadataAnswer
from kamu_gateway.rest.query_form import LenientSchemaFormat, includes, leniently

router = APIRouter(route_class=DatasetRoute)


class Part(StrEnum):
    """What can be asked for."""

    ATTACHMENTS = "attachments"
    INFO = "info"
    LICENSE = "license"
    REFS = "refs"
    SCHEMA = "schema"
    SEED = "seed"
    VOCAB = "vocab"


_INCLUDE: Final = f"any of {','.join(Part)}; default: seed"


@router.api_route(
    f"{DATASET}/metadata",
    methods=["GET", "HEAD"],
    operation_id="dataset_metadata_handler",
    summary="What the metadata says now, part by part",
    tags=["odf-query"],
    responses={200: {"model": MetadataAnswer}, **REFUSED},
)
def metadata(
    *,
    admitted: Admitted,
    node: CurrentNode,
    include: Annotated[str | None, Query(description=_INCLUDE)] = None,
    schema_format: Annotated[LenientSchemaFormat, Query(alias="schemaFormat")] = None,
) -> Response:
    """Parts of the metadata, in the order of their names; those that do not exist are left out."""
    wanted = _parts(include)
    state = node.chains.state(admitted.dataset.id)
    output: dict[str, JsonValue] = {}
    for part in sorted(wanted):
        output |= _schema(state, schema_format) if part is Part.SCHEMA else _other(part, state)
    return JSONResponse({"output": output})


def _parts(include: str | None) -> set[Part]:
    try:
        return {leniently(Part, name) for name in includes(include)} or {Part.SEED}
    except ValueError as error:
        raise TextAnswerError(400, f"Failed to deserialize query string: include: {error}") from error


def _schema(state: ChainState, schema_format: SchemaFormat | None) -> dict[str, JsonValue]:
    known, form = _known_schema(state), schema_format or SchemaFormat.ARROW_JSON
    return {} if known is None else {"schema": schema_of(known, form), "schemaFormat": form.value}


def _known_schema(state: ChainState) -> DataSchema | None:
    if state.schema is None:
        return None
    if state.schema.schema_ is not None:
        return state.schema.schema_
    from kamu_assets.odf.arrow_schema import upgrade_legacy_schema

    return upgrade_legacy_schema(state.schema.raw_arrow_schema or b"")


def _other(part: Part, state: ChainState) -> dict[str, JsonValue]:
    found = _OTHERS[part](state)
    return {} if found is None else {part.value: found}


def _plain(document: OdfModel | None) -> JsonValue:
    if document is None:
        return None
    content: JsonValue = document.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"kind"})
    return content


def _refs(state: ChainState) -> JsonValue:
    return [{"name": "head", "blockHash": str(state.head)}]


_OTHERS: Final[Mapping[Part, Callable[[ChainState], JsonValue]]] = {
    Part.ATTACHMENTS: lambda state: _plain(state.attachments),
    Part.INFO: lambda state: _plain(state.info),
    Part.LICENSE: lambda state: _plain(state.license),
    Part.REFS: _refs,
    Part.SEED: lambda state: _plain(state.seed),
    Part.VOCAB: lambda state: _plain(state.vocab),
}
