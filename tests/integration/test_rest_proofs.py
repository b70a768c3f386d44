"""Answers with proofs: whoever has one can have it checked later, by this node or another."""

from __future__ import annotations

import copy
import itertools
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kamu_assets.auth.node_key import NODE_KEY_FILE
from kamu_assets.odf.commitments import Commitment, Proof, sign, verify
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from tests.support.manifests import pushed_root, reading
from tests.support.served_node import ServedNode, serving

_MANIFEST = pushed_root("alice/log", reading("station STRING", "level DOUBLE"))
_SQL = 'select "offset", station, level, level / 3 as third from "alice/log" order by "offset"'
_KEY = bytes(range(32))

Json = Any


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    key = {"ed25519_private_key": f"f{_KEY.hex()}"}
    with serving(tmp_path_factory.mktemp("node"), identity=key) as node:
        node.create(_MANIFEST)
        push(node, '{"station":"é","level":0.1}\n{"station":"b","level":1e30}\n{"level":-2}')
        yield node


def push(served: ServedNode, rows: str) -> None:
    assert served.push("alice/log", rows.encode(), "application/x-ndjson").is_success


def ask(served: ServedNode, **question: Any) -> Json:
    answer = served.request("POST", "/query", json={"query": _SQL, "include": ["Proof"], **question}, as_=None)
    assert answer.status_code == 200, answer.text
    return answer.json()


def statement(answer: Json) -> Json:
    """What is kept of an answer to have it checked."""
    return {name: copy.deepcopy(value) for name, value in answer.items() if name != "output"}


def resign(kept: Json, **hashes: Multihash) -> Json:
    """Another commitment, signed by the node itself."""
    before = Commitment.model_validate(kept["commitment"])
    commitment = before.model_copy(
        update={"input_hash": Commitment.to(query=kept["input"], answer=None, sub_queries=None).input_hash, **hashes}
    )
    proof = sign(commitment, _KEY)
    shown = {"commitment": commitment, "proof": proof}
    return kept | {name: json.loads(value.model_dump_json(by_alias=True)) for name, value in shown.items()}


def verdict(served: ServedNode, kept: Json) -> tuple[int, Json]:
    answer = served.request("POST", "/verify", json=kept, as_=None)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("data_format", "schema_format"),
    list(itertools.product(["JsonAoS", "JsonSoA", "JsonAoA"], [None, "ArrowJson", "OdfYaml", "ParquetJson"])),
)
def test_anybody_can_check_a_proof_of_any_format(
    served: ServedNode, data_format: str, schema_format: str | None
) -> None:
    asked = {"dataFormat": data_format} | ({"schemaFormat": schema_format} if schema_format else {})
    answer = ask(served, **asked)

    # What a client does, from what it was sent alone.
    commitment = Commitment.model_validate(answer["commitment"])
    assert commitment == Commitment.to(query=answer["input"], answer=answer["output"], sub_queries=[])
    verify(commitment, Proof.model_validate(answer["proof"]))
    assert verdict(served, statement(answer)) == (200, {"ok": True})


def test_a_statement_can_be_a_query_string(served: ServedNode) -> None:
    kept = statement(ask(served))
    texts = {name: json.dumps(value) for name, value in kept.items()}

    right = served.request("GET", "/verify", params=texts)
    wrong = served.request("GET", "/verify", params=texts | {"input": '{"query":"select 1"}'})
    none = served.request("GET", "/verify", params=texts | {"proof": "{"})

    assert (right.status_code, right.json()) == (200, {"ok": True})
    assert (wrong.status_code, wrong.json()["error"]["kind"]) == (400, "InvalidRequest::InputHash")
    assert (none.status_code, "query string: proof" in none.text) == (400, True)


def test_what_a_statement_says_twice_is_refused(served: ServedNode) -> None:
    """One reader would check the one, and people read the other."""
    kept = statement(ask(served))
    doubled = '{"query":"select 2",' + json.dumps(kept["input"])[1:]
    texts = {name: json.dumps(value) for name, value in kept.items()} | {"input": doubled}
    body = "{" + ",".join(f'"{name}":{text}' for name, text in texts.items()) + "}"

    posted = served.request("POST", "/verify", content=body, headers={"content-type": "application/json"})
    in_url = served.request("GET", "/verify", params=texts)

    assert (posted.status_code, in_url.status_code) == (422, 400)
    assert posted.text == "Failed to deserialize the JSON body into the target type: duplicate field `query`"
    assert in_url.text == "Failed to deserialize query string: input: duplicate field `query`"


def test_a_proof_stays_right_when_data_is_added(served: ServedNode) -> None:
    kept = statement(ask(served, skip=1, limit=1))

    push(served, '{"station":"later","level":9}')

    assert verdict(served, kept) == (200, {"ok": True})


@pytest.fixture(scope="module")
def slices(served: ServedNode) -> ServedNode:
    """Enough of them to be read by several threads at once."""
    for slice_ in range(60):
        push(served, "\n".join(json.dumps({"station": f"s{(slice_ * 7 + row) % 13}"}) for row in range(50)))
    return served


@pytest.mark.parametrize(
    "sql",
    [
        'select station, level from "alice/log"',
        'select station, count(*) as n, sum(level) as s from "alice/log" group by station',
        'select a.station, b.level from "alice/log" a join "alice/log" b on a."offset" = b."offset" % 100',
        "select count(*) as n, max(station) as s from as_of('alice/log', 100)",
        "show tables",
    ],
)
def test_rows_in_no_order_come_in_the_same_order_again(slices: ServedNode, sql: str) -> None:
    kept = statement(ask(slices, query=sql, limit=1000))
    push(slices, '{"station":"one more"}')

    assert [verdict(slices, kept) for _ in range(4)] == [(200, {"ok": True})] * 4


def test_an_answer_that_was_another_is_told(served: ServedNode) -> None:
    kept = statement(ask(served))
    false = Multihash.sha3_256(b"something else")

    status, told = verdict(served, resign(kept, output_hash=false))

    assert (status, told["ok"], told["error"]["kind"]) == (400, False, "VerificationFailed::OutputMismatch")
    assert told["error"]["expected_hash"] == str(false)
    assert told["error"]["actual_hash"] == kept["commitment"]["outputHash"]


def test_a_changed_output_hash_is_not_what_was_signed(served: ServedNode) -> None:
    kept = statement(ask(served))
    kept["commitment"]["outputHash"] = str(Multihash.sha3_256(b"something else"))

    status, told = verdict(served, kept)

    assert (status, told["error"]["kind"]) == (400, "InvalidRequest::BadSignature")


def test_what_another_node_has_signed_is_checked_by_its_key(served: ServedNode) -> None:
    kept, other = statement(ask(served)), b"7" * 32
    signed = sign(Commitment.model_validate(kept["commitment"]), other)

    theirs = kept | {"proof": json.loads(signed.model_dump_json(by_alias=True))}
    claimed = kept | {"proof": kept["proof"] | {"verificationMethod": str(signed.verification_method)}}

    assert theirs["proof"]["verificationMethod"] != kept["proof"]["verificationMethod"]
    assert verdict(served, theirs) == (200, {"ok": True})
    assert verdict(served, claimed)[1]["error"]["kind"] == "InvalidRequest::BadSignature"


@pytest.mark.parametrize("sql", ["select random() as x", "select uuid() as x"])
def test_a_query_that_gives_something_else_each_time_cannot_be_held_against_anybody(
    served: ServedNode, sql: str
) -> None:
    kept = statement(ask(served, query=sql))

    status, told = verdict(served, kept)

    assert (status, told["error"]["kind"]) == (400, "VerificationFailed::OutputMismatch")
    assert told["error"]["expected_hash"] == kept["commitment"]["outputHash"] != told["error"]["actual_hash"]


def test_a_dataset_that_was_made_again_is_another_one(served: ServedNode) -> None:
    entry = served.create(_MANIFEST.replace("alice/log", "alice/remade"))
    assert served.push("alice/remade", b'{"station":"a","level":1}').is_success
    kept = statement(ask(served, query='select station from "alice/remade"'))
    served.node.datasets.delete(served.node.auth.admin_caller(), entry.id)
    served.create(_MANIFEST.replace("alice/log", "alice/remade"))

    status, told = verdict(served, kept)

    assert (status, told["error"]["kind"]) == (400, "VerificationFailed::DatasetNotFound")
    assert told["error"]["dataset_id"] == str(entry.id)


def test_what_is_too_large_to_sign_is_told(served: ServedNode) -> None:
    sql = "select repeat('x', 1000000) as x from generate_series(1, 17)"

    unsigned = served.request("POST", "/query", json={"query": sql})
    signed = served.request("POST", "/query", json={"query": sql, "include": ["Proof"]})

    assert unsigned.status_code == 200
    assert (signed.status_code, "16.2 MiB, and with a proof at most 16" in signed.text) == (400, True), signed.text


def test_a_proof_over_an_unknown_dataset_is_told(served: ServedNode) -> None:
    kept = statement(ask(served))
    unknown = str(DatasetID.seeded(b"unknown"))
    kept["input"]["datasets"][0]["id"] = unknown

    status, told = verdict(served, resign(kept))

    assert (status, told["error"]["kind"]) == (400, "VerificationFailed::DatasetNotFound")
    assert told["error"]["dataset_id"] == unknown


def test_a_proof_over_an_unknown_block_is_told(served: ServedNode) -> None:
    kept = statement(ask(served))
    pinned = kept["input"]["datasets"][0]
    pinned["blockHash"] = str(Multihash.sha3_256(b"no block"))

    status, told = verdict(served, resign(kept))

    assert (status, told["error"]["kind"]) == (400, "VerificationFailed::DatasetBlockNotFound")
    assert (told["error"]["dataset_id"], told["error"]["block_hash"]) == (pinned["id"], pinned["blockHash"])


def test_parts_by_other_nodes_are_checked_too(served: ServedNode) -> None:
    kept, part = statement(ask(served)), statement(ask(served, query="select 1 as a"))
    part["proof"]["proofValue"] = kept["proof"]["proofValue"]
    kept["subQueries"] = [part]
    hashed = Commitment.to(query=None, answer=None, sub_queries=[part]).sub_queries_hash

    status, told = verdict(served, resign(kept, sub_queries_hash=hashed))

    assert (status, told["error"]["kind"]) == (400, "InvalidRequest::BadSignature")


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"proof": {"type": "EcdsaSecp256k1Signature2019"}}, 400, "Ed25519Signature2020 only"),
        ({"proof": {"type": "Paper"}}, 422, "proof.type"),
        ({"proof": {"proofValue": "u"}}, 422, "a signature has 64 bytes, not 0"),
        ({"proof": {"verificationMethod": "did:key:z6"}}, 422, "proof.verificationMethod"),
        ({"commitment": {"inputHash": "x"}}, 422, "commitment.inputHash"),
        ({"input": {"limit": -1}}, 422, "input.limit"),
        ({"subQueries": {}}, 422, "subQueries"),
        ({"output": {}}, 422, "output"),
        ({"sub_queries": []}, 422, "sub_queries"),
    ],
)
def test_what_is_no_statement_is_refused(served: ServedNode, change: Json, status: int, told: str) -> None:
    kept = statement(ask(served))
    for name, value in change.items():
        kept[name] = kept[name] | value if value and name in kept else value

    answer = served.request("POST", "/verify", json=kept)

    assert (answer.status_code, told in answer.text) == (status, True), answer.text


def test_a_pinned_query_reads_what_was_there(served: ServedNode) -> None:
    kept = ask(served)
    push(served, '{"station":"much later","level":9}')
    pins = {"query": _SQL, "datasets": kept["input"]["datasets"]}

    answer = served.request("POST", "/query", json=pins)

    assert answer.json()["output"] == kept["output"]


@pytest.mark.parametrize(
    ("pin", "status", "told"),
    [
        ({"blockHash": str(Multihash.sha3_256(b"no block"))}, 404, "has no block"),
        ({"id": str(DatasetID.seeded(b"unknown"))}, 400, "not found"),
        ({"id": "log"}, 422, "datasets[0].id"),
        ({"blockHash": "f1620"}, 422, "datasets[0].blockHash"),
    ],
)
def test_what_cannot_be_pinned_is_told(served: ServedNode, pin: Json, status: int, told: str) -> None:
    pinned = ask(served)["input"]["datasets"][0] | pin

    answer = served.request("POST", "/query", json={"query": _SQL, "datasets": [pinned]})

    assert (answer.status_code, told in answer.text) == (status, True), answer.text


def test_the_first_start_makes_a_key_and_later_ones_keep_it(tmp_path: Path) -> None:
    signers = []
    for _ in range(2):
        with serving(tmp_path) as node:
            signers.append(ask(node, query="select 1")["proof"]["verificationMethod"])

    file = tmp_path / "keys" / NODE_KEY_FILE
    assert signers[0] == signers[1]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0
