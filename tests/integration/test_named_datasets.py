"""What users tried with datasets and their names, through the node's own doors."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from kamu_assets.auth.model import Caller
from kamu_assets.datasets.errors import CyclicDependencyError, DanglingReferenceError, NameCollisionError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.data import DataField, DataType, Int32Type, OptionType
from kamu_assets.odf.dataset import AddPushSource, SetDataSchema, SetTransform
from kamu_assets.odf.engine import TransformInput
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.serde.yaml import parse_snapshots
from tests.support.manifests import LEDGER, derivative, pushed_root, reading
from tests.support.served_node import ServedNode, serving

READ = reading("id INT", "name STRING", "n INT")
ROW = b'{"id":1,"name":"a","n":7}\n'
ALL = "select event_time, id, name, n from "


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serving(tmp_path_factory.mktemp("node")) as node:
        yield node


def asked(served: ServedNode, query: str) -> list[list[object]]:
    body = {"query": query, "dataFormat": "JsonAoA"}
    answer = served.request("POST", "/query", json=body)
    assert answer.status_code == 200, answer.text
    found: list[list[object]] = answer.json()["output"]["data"]
    return found


def alice(served: ServedNode) -> Caller:
    return Caller(served.account("alice"))


def test_a_derivative_takes_no_data(served: ServedNode) -> None:  # KD-03
    served.create(pushed_root("alice/three.root", READ))
    served.create(derivative("alice/three", f'{ALL}"three.root"', "alice/three.root"))
    before = served.head("alice/three")

    refused = served.push("alice/three", ROW)

    assert refused.status_code == 400
    assert "is a derivative dataset" in refused.json()["message"]
    assert served.head("alice/three") == before
    assert served.request("GET", "/system/health").status_code == 200


def test_what_others_read_is_not_deleted(served: ServedNode) -> None:  # KD-14
    root = served.create(pushed_root("alice/kept", READ))
    readers = [served.create(derivative(f"alice/reads-{one}", f"{ALL}kept", "alice/kept")) for one in (1, 2)]

    with pytest.raises(DanglingReferenceError) as refused:
        served.node.datasets.delete(alice(served), root.id)

    assert [str(child) for child in refused.value.children] == ["alice/reads-1", "alice/reads-2"]
    for each in (*readers, root):
        served.node.datasets.delete(alice(served), each.id)


def test_circles_are_refused_with_the_loop_spelled_out(served: ServedNode) -> None:  # KD-15
    datasets = served.node.datasets
    root = served.create(pushed_root("alice/source", READ))
    circle = derivative("alice/a", f"{ALL}b", "alice/b") + "---\n" + derivative("alice/b", f"{ALL}a", "alice/a")

    with pytest.raises(CyclicDependencyError, match="alice/a → alice/b → alice/a"):
        datasets.create_all(alice(served), parse_snapshots(circle))
    with pytest.raises(CyclicDependencyError, match="alice/c → alice/c"):
        served.create(derivative("alice/c", f"{ALL}c", "alice/c"))
    a = served.create(derivative("alice/a", f"{ALL}source", "alice/source"))
    served.create(derivative("alice/b", f"{ALL}a", "alice/a"))
    c = served.create(derivative("alice/c", f"{ALL}b", "alice/b"))
    transform = next(
        found.block.event for found in served.node.chains.blocks(a.id) if isinstance(found.block.event, SetTransform)
    )
    closing = transform.model_copy(update={"inputs": (TransformInput(dataset_ref=str(c.id), alias="source"),)})
    before = served.head("alice/a")
    with pytest.raises(CyclicDependencyError, match=r"alice/a → .*alice/a"):
        served.node.coordinator.commit_event(alice(served), a.id, closing)

    assert served.head("alice/a") == before
    assert [entry.id for entry in datasets.inputs(alice(served), a.id)] == [root.id]


def test_names_that_differ_in_capitals_are_one(served: ServedNode) -> None:  # KD-24
    served.create(pushed_root("alice/Weather.Daily", READ))
    assert served.push("ALICE/weather.DAILY", ROW).status_code == 200

    with pytest.raises(NameCollisionError, match=r"weather\.daily"):
        served.create(pushed_root("alice/weather.daily", READ))

    for name in ('"alice/Weather.Daily"', '"Alice/WEATHER.daily"'):
        assert asked(served, f"select name from {name}") == [["a"]]
    found = served.node.datasets.resolve(alice(served), DatasetAlias.parse("Alice/weather.daily"))
    assert str(found.alias) == "alice/Weather.Daily"
    assert served.request("GET", "/Alice/WEATHER.daily/tail").json()["data"][0]["name"] == "a"


def test_dotted_names_are_found_or_the_quotes_are_shown(served: ServedNode) -> None:  # KD-25
    served.create(pushed_root("alice/city.opendata.v1", READ))
    served.push("alice/city.opendata.v1", ROW)

    unquoted = served.request("POST", "/query", json={"query": "select count(*) from city.opendata.v1"})

    assert unquoted.status_code in {400, 404}
    assert 'a name with dots needs quotes: "city.opendata.v1"' in unquoted.json()["message"]
    assert asked(served, 'select count(*) from "alice/city.opendata.v1"') == [[1]]


def a_schema_with(served: ServedNode, entry: DatasetEntry, name: str, kind: DataType) -> SetDataSchema:
    schema = served.node.chains.state(entry.id).schema
    assert schema is not None
    assert schema.schema_ is not None
    fields = tuple(one for one in schema.schema_.fields if one.name != name)
    return SetDataSchema(
        schema_=schema.schema_.model_copy(update={"fields": (*fields, DataField(name=name, type=kind))})
    )


def a_source(columns: tuple[str, ...]) -> AddPushSource:
    (snapshot,) = parse_snapshots(pushed_root("alice/any", reading(*columns)))
    (source,) = snapshot.metadata
    assert isinstance(source, AddPushSource)
    return source


def test_columns_are_added_by_saying_so_and_other_changes_are_refused(served: ServedNode) -> None:  # KD-26
    root = served.create(pushed_root("alice/grows", READ))
    served.push("alice/grows", ROW)
    coordinator, caller = served.node.coordinator, alice(served)
    wider = OptionType(inner=Int32Type())

    coordinator.commit_event(caller, root.id, a_schema_with(served, root, "extra", wider))
    coordinator.commit_event(caller, root.id, a_source(("id INT", "name STRING", "n INT", "extra INT")))
    assert served.push("alice/grows", b'{"id":2,"name":"b","n":8,"extra":9}\n').status_code == 200

    assert asked(served, 'select id, extra from "alice/grows" order by id') == [[1, None], [2, 9]]
    before = served.head("alice/grows")
    refusals = [
        ("id INT", "n INT", "extra INT"),
        ("id INT", "name INT", "n INT", "extra INT"),
    ]
    for columns in refusals:
        coordinator.commit_event(caller, root.id, a_source(columns))
        before = served.head("alice/grows")
        answer = served.push("alice/grows", b'{"id":3,"name":4,"n":8,"extra":9}\n')
        assert answer.status_code == 400, columns
        assert "`name`" in answer.json()["message"]
        assert served.head("alice/grows") == before
    assert "STRING" in answer.json()["message"].upper() or "Utf8" in answer.json()["message"]


def test_a_push_whose_answer_was_lost_may_be_repeated_where_rows_have_keys(served: ServedNode) -> None:  # VC-03
    """There are no idempotency keys: a ledger tells what is new, and an append dataset takes rows as often as sent."""
    read = reading("id INT", "name STRING")
    served.create(pushed_root("alice/keyed", read, merge=LEDGER))
    served.create(pushed_root("alice/plain", read))
    body = json.dumps({"id": 1, "name": "a"}).encode()

    for dataset in ("alice/keyed", "alice/plain"):
        for _ in range(2):
            assert served.push(dataset, body).status_code == 200

    assert asked(served, 'select count(*) from "alice/keyed"') == [[1]]
    assert asked(served, 'select count(*) from "alice/plain"') == [[2]]
