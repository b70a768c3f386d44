"""A node that serves while datasets are compacted, reset and swept: answers stay right, old proofs say why not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kamu_assets.coordinator.compacting import CompactOptions
from kamu_assets.coordinator.garbage import CollectOptions
from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.coordinator.results import Reorganized
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.multihash import Multihash
from kamu_assets.query.tables.slice_lists import SliceLists
from tests.integration.test_rest_proofs import statement, verdict
from tests.support.manifests import pushed_root, reading
from tests.support.served_node import ServedNode, serving

_MANIFEST = pushed_root("alice/log", reading("level BIGINT"))
SQL = 'select "offset", level from "alice/log" order by "offset"'
LOG = DatasetAlias.parse("alice/log")
SLICES = 12


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedNode]:
    with serving(tmp_path) as node:
        node.create(_MANIFEST)
        for level in range(SLICES):
            push(node, level)
        yield node


def push(served: ServedNode, level: int) -> None:
    body = f'{{"level": {level}}}'.encode()
    assert served.push("alice/log", body, "application/x-ndjson").is_success


def ask(served: ServedNode, sql: str = SQL, status: int = 200) -> Any:
    answer = served.request("POST", "/query", json={"query": sql, "include": ["Proof"]})
    assert answer.status_code == status, answer.text
    return answer.json()


def levels(served: ServedNode) -> list[int]:
    return [row["level"] for row in ask(served)["output"]["data"]]


def compact(served: ServedNode) -> Reorganized:
    node, told = served.node, []
    done = node.reorganization.compact(
        node.auth.admin_caller(), LOG, CompactOptions(on_rows=lambda rows, total: told.append((rows, total)))
    )
    assert told[-1] == (SLICES, SLICES)
    assert isinstance(done, Reorganized)
    return done


def collect(served: ServedNode) -> int:
    node = served.node
    return node.garbage.collect(node.auth.admin_caller(), LOG, CollectOptions(grace_seconds=0)).removed


def test_rows_are_the_same_before_and_after(served: ServedNode) -> None:
    assert levels(served) == list(range(SLICES))

    compact(served)
    assert levels(served) == list(range(SLICES))
    assert collect(served) > SLICES
    assert levels(served) == list(range(SLICES))

    push(served, SLICES)
    assert levels(served) == list(range(SLICES + 1))
    tail = served.request("GET", "/alice/log/tail").json()
    assert len(tail["data"]) == SLICES + 1


def test_a_proof_of_before_names_the_block_that_is_gone(served: ServedNode) -> None:
    kept = statement(ask(served))
    head = served.head("alice/log")
    assert verdict(served, kept)[0] == 200

    compact(served)

    status, told = verdict(served, kept)
    assert (status, told["error"]["kind"]) == (400, "VerificationFailed::DatasetBlockNotFound")
    assert told["error"]["block_hash"] == str(head)
    assert verdict(served, statement(ask(served)))[0] == 200


def test_the_past_of_a_chain_that_was_replaced_is_not_there(served: ServedNode) -> None:
    old = compact(served).old_head

    assert str(old) in ask(served, as_of(old), status=404)["message"]
    assert len(ask(served, as_of(served.head("alice/log")))["output"]["data"]) == SLICES


def test_rows_after_a_reset_are_those_of_then(served: ServedNode) -> None:
    node = served.node
    blocks = [found.block_hash for found in node.datasets.log(node.auth.admin_caller(), LOG)]
    assert levels(served) == list(range(SLICES))

    node.reorganization.reset(node.auth.admin_caller(), LOG, ResetOptions(new_head=blocks[3]))

    assert levels(served) == list(range(SLICES - 3))
    push(served, 99)
    assert levels(served) == [*range(SLICES - 3), 99]


@pytest.mark.parametrize("question", [SQL, "tail"])
def test_a_question_whose_files_go_meanwhile_says_why(
    served: ServedNode, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    look = SliceLists.get

    def look_and_sweep(self: SliceLists, entry: DatasetEntry, head: Multihash) -> Any:
        monkeypatch.setattr(SliceLists, "get", look)
        found = look(self, entry, head)
        compact(served)
        collect(served)
        return found

    monkeypatch.setattr(SliceLists, "get", look_and_sweep)
    if question == "tail":
        answer = served.request("GET", "/alice/log/tail")
        told = (answer.status_code, answer.json()["message"])
    else:
        told = (409, ask(served, question, status=409)["message"])

    assert told[0] == 409
    assert "was rewritten while it was read" in told[1]
    assert levels(served) == list(range(SLICES))


def as_of(block: Multihash) -> str:
    return f"select level from as_of('alice/log', '{block}')"
