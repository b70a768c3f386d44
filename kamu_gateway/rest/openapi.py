"""`GET /openapi.json` and `/openapi`: what is served, as OpenAPI describes it, made from the routes themselves."""

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from importlib.metadata import version
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from kamu_gateway.rest.query_form import QueryForm
from kamu_gateway.rest.reference_page import reference_page
from kamu_gateway.rest.verify_form import VerifyForm

router = APIRouter()

_REF: Final = "#/components/schemas/{model}"
# Read from requests by hand, so that the framework does not know them.
_BODIES: Final = (QueryForm, VerifyForm)
_PLACE: Final = re.compile(r"\{(\w+)\}")
_ABOUT: Final = {"account_name": "Name of the account", "dataset_name": "Name of the dataset"}
_TOKEN: Final = {"api_key": {"type": "http", "scheme": "bearer", "bearerFormat": "AccessToken"}}

Json = dict[str, Any]


@router.api_route("/openapi.json", methods=["GET", "HEAD"], include_in_schema=False)
def openapi(request: Request) -> Response:
    return JSONResponse(request.app.state.openapi())


@router.api_route("/openapi", methods=["GET", "HEAD"], include_in_schema=False)
def reference(request: Request) -> Response:
    return HTMLResponse(reference_page(request.app.state.openapi(), base_url=str(request.base_url)))


def describe(routers: Iterable[APIRouter]) -> Json:
    """The description of all routes that want to be in it."""
    document = get_openapi(
        title="Kamu node: REST",
        version=version("kamu-node"),
        description="Reading and writing datasets of this node. Anonymous callers see what is public.",
        routes=list(_routes(routers)),
    )
    _, bodies = models_json_schema([(model, "validation") for model in _BODIES], ref_template=_REF)
    components = document.setdefault("components", {})
    components["schemas"] = {**components.get("schemas", {}), **bodies["$defs"]}
    components["securitySchemes"] = _TOKEN
    for path, operations in document["paths"].items():
        for operation in operations.values():
            _complete(path, operation)
    return document


def body(model: type[QueryForm | VerifyForm]) -> Json:
    """What a route says of the body that it reads by hand."""
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def choices(words: type[StrEnum]) -> Json:
    """What a parameter says that is read leniently by hand."""
    return {"enum": [word.value for word in words]}


def _routes(routers: Iterable[APIRouter]) -> Iterator[APIRoute]:
    for each in routers:
        for route in each.routes:
            if isinstance(route, APIRoute):
                # HEAD goes without saying.
                shown = copy.copy(route)
                shown.methods = set(route.methods or ()) - {"HEAD"}
                yield shown


def _complete(path: str, operation: Json) -> None:
    """Places in the path that are read by hand, and that a token may be sent."""
    parameters: Sequence[Json] = operation.get("parameters", [])
    told = {parameter["name"] for parameter in parameters}
    missing = [name for name in _PLACE.findall(path) if name not in told]
    if missing:
        operation["parameters"] = [*map(_place, missing), *parameters]
    operation.setdefault("security", [{}, {"api_key": []}])


def _place(name: str) -> Json:
    described = {"description": _ABOUT[name]} if name in _ABOUT else {}
    return {"name": name, "in": "path", "required": True, **described, "schema": {"type": "string"}}
