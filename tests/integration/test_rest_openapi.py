"""The description of the API: what it says is there, and what is there it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel

from kamu_gateway.rest import documents, ingest, metadata, query, system, tail, verify
from tests.support.manifests import pushed_root, reading
from tests.support.openapi_compare import Descriptions
from tests.support.served_node import ServedNode, serving

_MANIFEST = pushed_root("alice/log", reading("station STRING", "level BIGINT"))
# What kamu does not describe or have.
_BEYOND = {("/system/health", "get"), ("/system/info", "get"), ("/verify", "get")}

# The data themselves, whatever they are.
_INGEST = "/{account_name}/{dataset_name}/ingest"
# Where the description of kamu is not what kamu was recorded to say.
_LIST = "subQueries[].subQueries: ['array'] instead of ['object']"
_TAKEN_OTHERWISE = (f"/verify.{_LIST}",)
_ANSWERED_OTHERWISE = (
    f"get /query.{_LIST}",
    f"post /query.{_LIST}",
    "get /{account_name}/{dataset_name}/metadata.output.refs[]: ['object'] instead of ['string']",
)

Json = Any


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serving(tmp_path_factory.mktemp("node")) as node:
        node.create(_MANIFEST)
        assert node.push("alice/log", b'{"station":"a","level":1}').is_success
        yield node


@pytest.fixture(scope="module")
def document(served: ServedNode) -> Json:
    answer = served.request("GET", "/openapi.json", as_=None)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert "access-control-allow-origin" not in answer.headers
    return answer.json()


@pytest.fixture(scope="session")
def upstream(reference: Path) -> Json:
    file = reference / "kamu-api" / "openapi-mt.json"
    if not file.is_file():
        pytest.skip("needs the whole reference material (KAMU_REFERENCE_DIR)")
    return json.loads(file.read_text())


def operations(document: Json) -> dict[tuple[str, str], Json]:
    return {(path, method): told for path, each in document["paths"].items() for method, told in each.items()}


def test_every_route_is_described(document: Json) -> None:
    routers = [part.router for part in (ingest, metadata, query, system, tail, verify)]
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    served = {(route.path, method.lower()) for route in routes for method in set(route.methods or ()) - {"HEAD"}}

    assert set(operations(document)) == served


def test_whatever_is_referred_to_is_there(document: Json) -> None:
    names = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document))

    assert set(names) == set(document["components"]["schemas"])


def test_every_place_in_a_path_is_a_parameter(document: Json) -> None:
    for (path, _), told in operations(document).items():
        places = {each["name"] for each in told.get("parameters", []) if each["in"] == "path"}
        assert places == set(re.findall(r"\{(\w+)\}", path))


def test_clients_made_from_kamus_description_find_what_they_know(document: Json, upstream: Json) -> None:
    known = operations(upstream)
    for place, told in operations(document).items():
        if place in _BEYOND:
            continue
        theirs = known[place]
        assert told["operationId"] == theirs["operationId"]
        assert told["security"] == theirs["security"] or place[0] == "/datasets/{id}"
        assert parameters(told) >= parameters(theirs)
        assert ("requestBody" in told) == ("requestBody" in theirs)


def test_what_clients_of_kamu_send_is_taken(document: Json, upstream: Json) -> None:
    known, compared = operations(upstream), Descriptions(document, upstream)
    found: list[str] = []
    for place, told in operations(document).items():
        if place in _BEYOND:
            continue
        ours, theirs = by_place(told), by_place(known[place])
        for name, parameter in theirs.items():
            found += compared.requests(f"{place[0]} {name[1]}", ours[name]["schema"], parameter["schema"])
        needed = {name for name, parameter in ours.items() if parameter["required"]}
        assert needed <= {name for name, parameter in theirs.items() if parameter["required"]}
        if "requestBody" in told and place[0] != _INGEST:
            bodies = [one["requestBody"]["content"]["application/json"]["schema"] for one in (told, known[place])]
            found += compared.requests(place[0], *bodies)

    assert sorted(found) == sorted(_TAKEN_OTHERWISE)


def test_what_is_answered_is_read_by_clients_of_kamu(document: Json, upstream: Json) -> None:
    known, compared = operations(upstream), Descriptions(document, upstream)
    found: list[str] = []
    for place, told in operations(document).items():
        if place in _BEYOND or place[0] == _INGEST:
            continue
        answers = [one["responses"]["200"]["content"]["application/json"]["schema"] for one in (told, known[place])]
        found += compared.responses(f"{place[1]} {place[0]}", *answers)

    assert sorted(found) == sorted(_ANSWERED_OTHERWISE)


def by_place(operation: Json) -> dict[tuple[str, str], Json]:
    return {(each["in"], each["name"]): each for each in operation.get("parameters", [])}


def parameters(operation: Json) -> set[tuple[str, str]]:
    return {(each["in"], each["name"]) for each in operation.get("parameters", [])}


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/info", documents.NodeInfo),
        ("/accounts/me", documents.AccountInfo),
        ("/system/health", documents.Health),
        ("/system/info", documents.BuildInfo),
        ("/query?query=select%201", documents.QueryAnswer),
        ("/query?query=select%201&include=input,proof,schema", documents.QueryAnswer),
        ("/query?query=select%201&dataFormat=JsonSoA&schemaFormat=Parquet", documents.QueryAnswer),
        ("/alice/log/tail", documents.Rows),
        ("/alice/log/tail?dataFormat=JsonAoA&schemaFormat=OdfYaml", documents.Rows),
        ("/alice/log/metadata?include=attachments,info,license,refs,schema,seed,vocab", documents.MetadataAnswer),
    ],
)
def test_answers_are_what_is_described(served: ServedNode, path: str, model: type[BaseModel]) -> None:
    answer = served.request("GET", path)

    assert answer.status_code == 200, answer.text
    model.model_validate_json(answer.content)


def test_verdicts_are_what_is_described(served: ServedNode) -> None:
    answer = served.request("GET", "/query?query=select%201&include=proof").json()
    kept = {name: value for name, value in answer.items() if name != "output"}

    right = served.request("POST", "/verify", json=kept)
    wrong = served.request("POST", "/verify", json=kept | {"input": {"query": "select 2"}})

    assert documents.Verdict.model_validate_json(right.content).ok
    assert documents.Verdict.model_validate_json(wrong.content).error is not None


def test_a_page_for_people_names_every_operation(served: ServedNode, document: Json) -> None:
    page = served.request("GET", "/openapi", as_=None)

    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert all(f"<code>{method.upper()} {path}</code>" in page.text for path, method in operations(document))
    assert "<script" not in page.text
    assert all(href in re.findall(r'id="(\w+)"', page.text) for href in re.findall(r'href="#(\w+)"', page.text))


def test_the_page_tells_the_fields_of_bodies_and_who_needs_a_token(served: ServedNode) -> None:
    page = served.request("GET", "/openapi", as_=None).text
    parts = {part.partition('"')[0]: part for part in page.split('<h2 id="')[1:]}

    assert all(word in parts["query_handler_post"] for word in ("blockHash", "JsonSoA", "OdfYaml", "Proof", "required"))
    assert all(word in parts["health_handler"] for word in ("liveness", "readiness", "startup"))
    assert [name for name, part in parts.items() if "Authorization" in part] == [
        "account_handler",
        "dataset_ingest_handler",
    ]
