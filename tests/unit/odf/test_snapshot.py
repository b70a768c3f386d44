from typing import Any

import pytest

from kamu_assets.odf.dataset import DatasetSnapshot, SetPollingSource, SetTransform
from kamu_assets.odf.snapshot import InvalidSnapshotError, normalize_snapshot


def snapshot(kind: str, *events: dict[str, Any]) -> DatasetSnapshot:
    return DatasetSnapshot.model_validate({"name": "foo", "kind": kind, "metadata": list(events)})


def transform(**sql: Any) -> dict[str, Any]:
    inputs = [{"datasetRef": "acme/bar"}, {"datasetRef": "baz", "alias": "b"}]
    return {"kind": "SetTransform", "inputs": inputs, "transform": {"kind": "Sql", "engine": "datafusion", **sql}}


SOURCE: dict[str, Any] = {
    "kind": "SetPollingSource",
    "fetch": {"kind": "Url", "url": "https://example.com"},
    "read": {"kind": "NdJson"},
    "merge": {"kind": "Append"},
}


def test_a_query_becomes_the_only_step() -> None:
    event = normalize_snapshot(snapshot("Derivative", transform(query="select 1"))).metadata[0]

    assert isinstance(event, SetTransform)
    assert event.transform.query is None
    assert [(step.alias, step.query) for step in event.transform.queries or ()] == [(None, "select 1")]


def test_inputs_are_called_by_their_reference_unless_they_have_an_alias() -> None:
    event = normalize_snapshot(snapshot("Derivative", transform(query="select 1"))).metadata[0]

    assert isinstance(event, SetTransform)
    assert [item.alias for item in event.inputs] == ["acme/bar", "b"]


def test_preprocessing_is_normalized_too() -> None:
    source = {**SOURCE, "preprocess": {"kind": "Sql", "engine": "datafusion", "query": "select 1"}}

    event = normalize_snapshot(snapshot("Root", source)).metadata[0]

    assert isinstance(event, SetPollingSource)
    assert event.preprocess is not None
    assert event.preprocess.queries is not None


def test_normalizing_twice_changes_nothing() -> None:
    once = normalize_snapshot(snapshot("Derivative", transform(query="select 1")))

    assert normalize_snapshot(once) == once


@pytest.mark.parametrize(
    ("kind", "event", "reason"),
    [
        ("Derivative", SOURCE, "only allowed on root"),
        ("Root", transform(query="select 1"), "only allowed on derivative"),
        ("Root", {"kind": "DisablePollingSource"}, "not allowed in a manifest"),
        ("Root", {"kind": "AddData"}, "not allowed in a manifest"),
        ("Derivative", transform(), "at least one query"),
        ("Derivative", transform(queries=[]), "at least one query"),
        ("Derivative", transform(query="a", queries=[{"query": "b"}]), "both"),
        ("Derivative", transform(queries=[{"query": "a"}, {"query": "b"}]), "no alias"),
        ("Derivative", transform(queries=[{"query": "a"}, {"query": "b", "alias": "x"}]), "must have no alias"),
        ("Derivative", transform(queries=[{"query": "a", "alias": "x"}]), "must have no alias"),
    ],
)
def test_what_cannot_become_a_dataset_is_refused(kind: str, event: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidSnapshotError, match=reason):
        normalize_snapshot(snapshot(kind, event))
