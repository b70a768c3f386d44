"""Sources that can bring no data are known from what they say, and no others are taken for such."""

from __future__ import annotations

import json

import pytest

from kamu_assets.coordinator.ingest.futile_sources import why_futile
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.serde.yaml import parse_snapshot
from kamu_assets.odf.snapshot import normalize_snapshot
from tests.support.builders import a_chain
from tests.support.manifests import APPEND, CHANGELOG, a_manifest, polling_source, push_source, reading
from tests.support.reference import reference_folder

KEYED = "{kind: Ledger, primaryKey: [id]}"
HERE = "{kind: Url, url: 'https://example.com/a'}"
# Which of those that the reference has not.
MISSING_HERE = {"prepare-pipe"}


def a_root(*events: str) -> ChainState:
    return of_manifest(a_manifest("kamu/root", "Root", *events))


def of_manifest(text: str) -> ChainState:
    return a_chain(*normalize_snapshot(parse_snapshot(text)).metadata)


@pytest.mark.parametrize(
    ("read", "merge", "why"),
    [
        (reading("id NUMBERS"), APPEND, "schema of the NdJson reader: column `id` of the DDL schema"),
        (reading("id INT", kind="Csv", options="separator: '||'"), APPEND, "Csv.separator must be a single"),
        (reading("id INT", options="encoding: latin1"), APPEND, "unsupported NdJson.encoding"),
        (reading("n INT"), KEYED, "the schema of its source: primary key column `id` is not in the data"),
        (reading("id INT"), CHANGELOG, "operation column `op` is not in the data"),
        (reading("id INT", "system_time TIMESTAMP"), KEYED, "column `system_time` is written by the node itself"),
        (reading("id INT", "op INT"), KEYED, "column `op` is written by the node itself"),
        (reading(), "{kind: Ledger, primaryKey: []}", None),
        (reading("id INT"), KEYED, None),
        (reading("n INT"), "{kind: Ledger, primaryKey: [event_time]}", None),
        (reading(), KEYED, None),
        (reading("n INT", kind="GeoJson"), KEYED, None),
    ],
)
def test_what_is_said_of_a_source(read: str, merge: str, why: str | None) -> None:
    found = why_futile(a_root(push_source("default", read, merge=merge)))

    assert found is None if why is None else why in str(found)


def test_every_source_is_looked_at_with_what_is_done_before_it_is_read() -> None:
    good, bad = push_source("good", reading("id INT")), push_source("bad", reading("id INTS"))
    pipe = polling_source(HERE, reading("id INT"), prepare="[{kind: Pipe, command: [cat]}]")

    assert "column `id` of the DDL schema" in str(why_futile(a_root(good, bad)))
    assert "prepare step Pipe" in str(why_futile(a_root(pipe)))
    assert why_futile(a_root()) is None


def test_names_of_system_columns_are_those_of_the_dataset() -> None:
    vocab = "{kind: SetVocab, systemTimeColumn: recorded}"

    assert why_futile(a_root(vocab, push_source("a", reading("system_time TIMESTAMP")))) is None
    assert "`recorded`" in str(why_futile(a_root(vocab, push_source("a", reading("recorded TIMESTAMP")))))


def test_nothing_is_said_of_recorded_sources_that_brought_data() -> None:
    silent = set()
    for manifest in (reference_folder() / "odf/recorded").glob("*/inputs/manifest.yaml"):
        scenario = manifest.parents[1]
        expected = json.loads((scenario / "expected.json").read_text())
        if expected.get("rowCount") and scenario.name not in MISSING_HERE:
            assert why_futile(of_manifest(manifest.read_text())) is None, scenario.name
            silent.add(scenario.name)

    assert len(silent) > 100
