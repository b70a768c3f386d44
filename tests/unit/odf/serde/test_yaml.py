import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.odf.data import StringType, TimestampType
from kamu_assets.odf.dataset import DatasetSnapshot, MetadataBlock, MetadataEvent, SetDataSchema, SetVocab
from kamu_assets.odf.serde import yaml_text
from kamu_assets.odf.serde.flatbuffers import decode_block
from kamu_assets.odf.serde.yaml import (
    ManifestError,
    UnsupportedManifestVersionError,
    block_from_json,
    block_to_json,
    dump_block,
    dump_event,
    dump_snapshot,
    event_from_json,
    event_to_json,
    parse_block,
    parse_event,
    parse_snapshot,
    parse_snapshots,
    snapshot_from_json,
    snapshot_to_json,
)
from kamu_assets.odf.serde.yaml_text import load_documents
from kamu_assets.odf.typedef import spellings
from tests.support.reference import reference_folder
from tests.unit.odf.reference import recorded_chains, vectors
from tests.unit.odf.strategies import blocks, events, of_model


def manifest(content: str, *, kind: str = "MetadataEvent", version: int = 1) -> str:
    return f"kind: {kind}\nversion: {version}\ncontent: {content}\n"


def test_manifests_of_the_vectors() -> None:
    for case in vectors("yaml_snapshots"):
        if "error" in case["expected"]:
            with pytest.raises(ManifestError):
                parse_snapshot(case["yaml"])
            continue

        snapshot = parse_snapshot(case["yaml"])

        assert snapshot_to_json(snapshot) == case["expected"], case["id"]
        assert parse_snapshot(dump_snapshot(snapshot)) == snapshot


def test_golden_blocks_have_the_json_form_of_kamu() -> None:
    for case in vectors("block_codec"):
        assert block_to_json(decode_block(bytes.fromhex(case["bytes_hex"]))) == case["block"], case["id"]
        assert block_to_json(block_from_json(case["block"])) == case["block"]


def test_recorded_blocks_survive_their_manifests() -> None:
    seen = set()
    for chain in recorded_chains():
        for file in (chain / "blocks").iterdir():
            block = decode_block(file.read_bytes())
            # The slow writer has shown what it can after one block of each kind in a chain.
            if (chain.parent.name, block.event.kind) not in seen:
                seen.add((chain.parent.name, block.event.kind))
                assert parse_block(dump_block(block)) == block


def recorded_manifests() -> list[Path]:
    return sorted((reference_folder() / "odf" / "recorded").glob("[!n]*/inputs/manifest*.yaml"))


def test_recorded_manifests_are_read() -> None:
    for file in recorded_manifests():
        snapshot = parse_snapshots(file.read_text())[0]

        assert snapshot_from_json(snapshot_to_json(snapshot)) == snapshot
    assert len(recorded_manifests()) > 50


@given(blocks)
def test_any_block_survives_yaml_and_json(block: MetadataBlock) -> None:
    assert parse_block(dump_block(block)) == block
    assert block_from_json(block_to_json(block)) == block


@given(events)
def test_any_event_survives_yaml_and_json(event: MetadataEvent) -> None:
    assert parse_event(dump_event(event)) == event
    assert event_from_json(event_to_json(event)) == event


@given(of_model(DatasetSnapshot))
def test_any_snapshot_survives_yaml_and_json(snapshot: DatasetSnapshot) -> None:
    assert parse_snapshot(dump_snapshot(snapshot)) == snapshot
    assert snapshot_from_json(snapshot_to_json(snapshot)) == snapshot


@pytest.mark.parametrize("word", ["off", "on", "yes", "no", "y", "+02:00", "12:30:00"])
def test_words_of_older_yaml_are_written_as_kamu_writes_them(word: str) -> None:
    assert f"offsetColumn: {word}\n" in dump_event(SetVocab(offset_column=word))


@pytest.mark.parametrize("word", ["off", "yes", "+02:00", "12:30:00", "2020-01-01", "1_000", "<<", "="])
def test_words_of_older_yaml_are_plain_text(word: str) -> None:
    assert parse_event(manifest(f"\n  kind: SetVocab\n  offsetColumn: {word}")) == SetVocab(offset_column=word)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("007", 7),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        ('"1"', "1"),
        ("!!str 1", "1"),
    ],
)
def test_words_of_the_core_schema(word: str, value: object) -> None:
    (found,) = load_documents(word)

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("spelling", spellings("SetVocab"))
def test_kinds_have_three_spellings(spelling: str) -> None:
    assert parse_event(manifest(f"{{kind: {spelling}}}")) == SetVocab()


def test_types_have_a_short_form() -> None:
    event = parse_event(
        manifest("{kind: SetDataSchema, schema: {fields: [{name: a, type: string}, {name: b, type: Timestamp}]}}")
    )

    assert isinstance(event, SetDataSchema)
    assert event.schema_ is not None
    assert [field.type for field in event.schema_.fields] == [StringType(), TimestampType()]
    assert "kind: String" in dump_event(event)


@pytest.mark.parametrize(
    ("content", "path", "reason"),
    [
        ("{kind: SetInfo, descr: x}", "content.descr", "allowed are `kind`, `description`, `keywords`"),
        ("{kind: SetInfo, keywords: [1]}", "content.keywords[0]", "string"),
        ("{kind: SetInfo, description: null, Kind: x}", "content.Kind", "unknown field"),
        ("{description: x}", "content", "missing field"),
        ("{kind: DisablePushSource, source_name: x}", "content.source_name", "allowed are `kind`, `sourceName`"),
        ("{kind: SetWhat}", "content", "unknown variant 'SetWhat', expected one of: AddData"),
        (
            "{kind: SetDataSchema, schema: {fields: [{name: a, type: {kind: List, itemType: {kind: Time, x: 1}}}]}}",
            "content.schema.fields[0].type.itemType.x",
            "allowed are `kind`, `unit`",
        ),
        ("{kind: SetDataSchema, rawArrowSchema: '*'}", "content.rawArrowSchema", "base64"),
        ("{kind: AddData, extra: [1]}", "content.extra", "valid dictionary"),
        ("{kind: Seed, datasetId: x, datasetKind: Root}", "content.datasetId", "did:odf"),
    ],
)
def test_a_complaint_says_where_and_what(content: str, path: str, reason: str) -> None:
    with pytest.raises(ManifestError) as complaint:
        parse_event(manifest(content))

    assert complaint.value.path == path
    assert reason in complaint.value.reason


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("[]", ""),
        ("", ""),
        ("kind: MetadataEvent\nversion: 1", "content"),
        ("kind: MetadataEvent\nversion: '1'\ncontent: {}", "version"),
        ("kind: MetadataEvent\nversion: true\ncontent: {}", "version"),
        ("kind: MetadataEvent\nversion: 1\ncontent: {}\nmore: 1", "more"),
        ("kind: Other\nversion: 1\ncontent: {}", "kind"),
        (manifest("{kind: SetInfo}") + "---\n" + manifest("{kind: SetInfo}"), ""),
    ],
)
def test_the_envelope_is_checked(text: str, path: str) -> None:
    with pytest.raises(ManifestError) as complaint:
        parse_event(text)

    assert complaint.value.path == path


@pytest.mark.parametrize(("kind", "version"), [("MetadataBlock", 1), ("MetadataBlock", 4), ("DatasetSnapshot", 2)])
def test_other_versions_are_refused(kind: str, version: int) -> None:
    parse: Any = parse_block if kind == "MetadataBlock" else parse_snapshot

    with pytest.raises(UnsupportedManifestVersionError):
        parse(manifest("{}", kind=kind, version=version))


def test_a_text_may_hold_several_snapshots() -> None:
    one = manifest("{name: a, kind: Root, metadata: []}", kind="DatasetSnapshot")
    two = manifest("{name: b, kind: Root, metadata: []}", kind="DatasetSnapshot")

    assert [str(snapshot.name) for snapshot in parse_snapshots(f"---\n{one}---\n---\n{two}")] == ["a", "b"]


def test_aliases_work_in_measure() -> None:
    (found,) = load_documents("a: &x [1, 2]\nb: *x")

    assert found == {"a": [1, 2], "b": [1, 2]}


def billion_laughs() -> str:
    lines = ["l0: &l0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (billion_laughs(), "unfolds to more"),
        ("[" * 5000, "nested deeper"),
        ("{a: " * 5000, "nested deeper"),
        ("\n".join(f"{'  ' * depth}a:" for depth in range(200)), "nested deeper"),
        ("a" * (yaml_text.MAX_LENGTH + 1), "at most"),
        ("a: 1\na: 2", "appears twice"),
        ("a: {b: 1, 'b': 2}", "appears twice"),
        ("1: a", "not a string"),
        ("? [a]\n: b", "not a string"),
        ("a: *b", "no anchor"),
        ("a: &a [*a]", "no anchor"),
        ("!!python/object:os.system x", "not supported"),
        ("!!set {a}", "not supported"),
        ("a: b: c", "not YAML"),
        ("a: [", "not YAML"),
        ("\tx: y", "not YAML"),
        ('"\\U00110000"', "not YAML"),
        ("a: \x00", "not YAML"),
        ('a: "\\ud800"', "half of a surrogate pair, which no text can hold at line 1, column 4"),
        ('"\\udc00\\ud800": 1', "half of a surrogate pair"),
    ],
)
def test_hostile_and_broken_text_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ManifestError, match=reason):
        load_documents(text)


def test_characters_that_json_escapes_as_two_are_read() -> None:
    (found,) = load_documents(json.dumps({"a 🙂": ["𝄞"]}))

    assert found == {"a 🙂": ["𝄞"]}


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"%@#? \n\t0.~"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        load_documents(text)
    except ManifestError:
        return


@given(st.text(max_size=30))
def test_any_text_survives_as_a_value(text: str) -> None:
    try:
        (found,) = load_documents(yaml_text.dump_document({"a": [text]}))
    except ManifestError:
        # Text that YAML cannot carry at all, such as lone surrogates.
        assert not text.isprintable()
        return

    assert found == {"a": [text]}
