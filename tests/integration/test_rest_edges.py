"""REST edges as recorded from a real kamu: requests of a plain client against its datasets, byte for byte ours now."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.dataset import AddData
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.serde.flatbuffers import decode_block
from kamu_assets.odf.timestamp import Timestamp
from tests.support.served_node import ServedNode, serving

CASES = (
    "health",
    "info",
    "ingest-anonymous-public",
    "ingest-bad-data",
    "ingest-chunked",
    "ingest-csv",
    "ingest-event-time",
    "ingest-no-source",
    "ingest-no-type",
    "ingest-source-unknown",
    "ingest-type-unknown",
    "route-dataset-root",
    "route-unknown",
)
_TRANSFER, _UPLOADS = "ODF transfer", "uploads"
# Cases that need what this node does not offer yet; `ws-*` are all of them transfers.
LATER = {
    **dict.fromkeys(("block", "block-bad-hash", "block-unknown", "checkpoint", "delete-data"), _TRANSFER),
    **dict.fromkeys(("data", "data-head", "data-if-none-match", "data-range", "data-unknown"), _TRANSFER),
    **dict.fromkeys(("put-anonymous", "put-bad-token", "put-block", "put-chunked", "put-data"), _TRANSFER),
    **dict.fromkeys(("put-then-get", "put-wrong-hash", "refs-head", "refs-unknown", "refs-unknown-dataset"), _TRANSFER),
    **dict.fromkeys(("options-plain", "options-preflight"), _TRANSFER),
    **dict.fromkeys(("ingest-upload", "ingest-upload-mismatch", "upload-bad-token", "upload-get"), _UPLOADS),
    **dict.fromkeys(("upload-post", "upload-post-anonymous", "upload-post-wrong-part", "upload-prepare"), _UPLOADS),
    **dict.fromkeys(("upload-prepare-anonymous", "upload-prepare-get", "upload-prepare-too-large"), _UPLOADS),
    "options-graphql": "GraphQL",
    "route-root": "the web platform",
}
_BIG = ("ingest-big", "tail-after-ingest")
# The reference answers 500 without a word; we say what is wrong.
DEFECTS = {"ingest-bad-data": 400}
# Seen before its commit was; the next case tells what it made.
_AFTER = {"ingest-chunked": "datasets/private.notes@c8ba6da8"}
# We alone name a request, and tell how to authenticate where the body must stay as empty as the reference's.
_INCIDENTAL = {"date", "server", "content-length", "www-authenticate", "x-request-id"}

Json = Any


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serving(tmp_path_factory.mktemp("node")) as node:
        node.account("alice")
        yield node


@pytest.fixture(scope="session")
def recorded(reference: Path) -> Path:
    folder = reference / "gateway" / "recorded" / "rest-edges"
    if not folder.is_dir():
        pytest.skip("needs the whole reference material (KAMU_REFERENCE_DIR)")
    return folder


@pytest.mark.parametrize("name", CASES)
def test_an_edge_is_answered_as_kamu_answered_it(served: ServedNode, recorded: Path, name: str) -> None:
    case: Json = json.loads((recorded / f"{name}.json").read_text())
    entries = [adopt(served, recorded / state["directory"], alias) for alias, state in states(case, "before")]
    try:
        after = [_AFTER.get(name, state["directory"]) for _, state in states(case, "after")]
        expected = [newest_data(recorded / directory) for directory in after]
        if expected and expected[0]:
            served.clock.set(expected[0].system_time)
        for exchange in case["exchanges"]:
            play(served, exchange, DEFECTS.get(name))
        for entry, block in zip(entries, expected, strict=False):
            assert block is None or facts(served.node.chains.state(entry.id).last_data) == facts(block.event)
    finally:
        for entry in entries:
            served.node.datasets.delete(served.node.auth.admin_caller(), entry.id)


def test_a_big_push_is_read_back_as_kamu_reads_it(served: ServedNode, recorded: Path) -> None:
    entry = adopt(served, recorded / "datasets" / "private.notes@452301b3", "alice/private.notes")
    served.clock.set(Timestamp.parse("2026-11-25T21:42:51.935Z"))

    for name in _BIG:
        for exchange in json.loads((recorded / f"{name}.json").read_text())["exchanges"]:
            play(served, exchange, None)

    assert served.node.chains.state(entry.id).next_offset == 30_007
    served.node.datasets.delete(served.node.auth.admin_caller(), entry.id)


def test_whatever_is_recorded_is_played_or_left_out_with_a_reason(recorded: Path) -> None:
    names = {file.stem for file in recorded.glob("*.json") if not file.stem.startswith("ws-")}

    assert names == {*CASES, *_BIG, *LATER}


def states(case: Json, when: str) -> list[tuple[str, Json]]:
    """The datasets that an alias in the case stands for, with the folder that holds them."""
    return [(alias, state) for alias, state in case.get(when, {}).get("server", {}).items() if "directory" in state]


def adopt(served: ServedNode, directory: Path, alias: str) -> DatasetEntry:
    return served.node.datasets.adopt(served.node.auth.admin_caller(), directory, DatasetAlias.parse(alias))


def newest_data(folder: Path) -> Any:
    """The newest block of a recorded chain, if it adds data."""
    head = (folder / "refs" / "head").read_text().strip()
    block = decode_block((folder / "blocks" / head).read_bytes())
    return block if isinstance(block.event, AddData) else None


def facts(event: object) -> object:
    """What two writers of the same rows must agree on; files of another writer have other physical hashes."""
    if not isinstance(event, AddData) or event.new_data is None:
        return event
    rows = event.new_data
    return (event.prev_offset, rows.logical_hash, rows.offset_interval, event.new_watermark, event.new_source_state)


def play(served: ServedNode, exchange: Json, defect: int | None) -> None:
    request, wanted = exchange["request"], exchange["response"]
    given = dict(line.split(": ", 1) for line in request["headers"])
    named = {name.lower(): text for name, text in given.items()}
    as_ = "alice" if named.pop("authorization", None) else None
    headers = {
        name: text for name, text in named.items() if name not in ("host", "content-length", "transfer-encoding")
    }
    body = content(request.get("body"))
    pieces = iter([body[: request["chunks"][0]], body[request["chunks"][0] :]]) if "chunks" in request else body

    answer = served.request(request["method"], request["target"], as_=as_, headers=headers, content=pieces)

    assert answer.status_code == (defect or wanted["status"]), answer.text
    if defect:
        assert answer.json()["message"]
        return
    told = dict(line.split(": ", 1) for line in wanted["headers"])
    assert {k: v for k, v in answer.headers.items() if k not in _INCIDENTAL} == {
        k: v for k, v in told.items() if k not in _INCIDENTAL
    }
    if request["method"] == "HEAD":
        assert answer.headers["content-length"] == told["content-length"]
    assert answer.content == content(wanted.get("body"))


def content(body: Json) -> bytes:
    if body is None:
        return b""
    if "json" in body:
        return json.dumps(body["json"], separators=(",", ":"), ensure_ascii=False).encode()
    if "text" in body:
        return str(body["text"]).encode()
    rows = "".join(f"2024-02-01T00:00:00Z,{1000 + i},{'n' * 90}\n" for i in range(30_000))
    made = f"event_time,id,note\n{rows}".encode()
    assert len(made) == body["size"]
    assert "f1620" + hashlib.sha3_256(made).hexdigest() == body["sha3_256"]
    return made
