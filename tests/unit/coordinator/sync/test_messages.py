import json
from typing import Any

import pytest
from pydantic import BaseModel

from kamu_assets.coordinator.sync import messages as m
from kamu_assets.odf.multihash import Multihash
from tests.unit.odf.vectors import cases

HASH = Multihash.sha3_256(b"block")
MODELS: dict[str, type[BaseModel]] = {
    "msg/pull/1_request_incremental": m.PullRequest,
    "msg/pull/2_response": m.PullResponse,
    "msg/pull/3_metadata_request": m.Empty,
    "msg/pull/5_objects_request": m.PullObjectsRequest,
    "msg/push/1_request": m.PushRequest,
    "msg/push/2_response": m.PushResponse,
    "msg/push/2_response_invalid_head": m.PushResponse,
    "msg/push/3_metadata": m.PushBlocks,
    "msg/push/4_metadata_accepted": m.PushResponse,
    "msg/push/5_objects_request": m.PushObjectsRequest,
    "msg/push/6_objects_response": m.PushObjectsResponse,
    "msg/push/7_progress_request": m.Empty,
    "msg/push/8_progress_running": m.PushProgress,
    "msg/push/10_confirmation": m.Empty,
}


@pytest.mark.parametrize("case", [case for case in cases("smart_protocol_messages") if case.id.startswith("msg/")])
def test_messages_are_read_and_written_as_upstream_spells_them(case: dict[str, Any]) -> None:
    text = json.dumps(case["message"], separators=(",", ":"))

    assert m.dump_message(m.parse_message(MODELS[case["id"]], text)) == text


def test_an_outcome_is_matched_by_its_class() -> None:
    text = json.dumps({"Err": {"InvalidInterval": {"head": str(HASH), "tail": str(HASH)}}})

    match m.parse_message(m.PullResponse, text).root:
        case m.Err(reason=m.InvalidInterval(head=head)):
            assert head == HASH
        case other:
            pytest.fail(f"not a refused interval: {other}")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            m.PushResponse(m.Err(reason=m.SeedBlockOverwriteRestricted())),
            '{"Err":{"SeedBlockOverwriteRestricted":{}}}',
        ),
        (
            m.PullResponse(m.Err(reason=m.Internal(phase={"Pull": "InitialRequest"}, error_message="no"))),
            '{"Err":{"Internal":{"phase":{"Pull":"InitialRequest"},"error_message":"no"}}}',
        ),
        (
            m.PushProgress(details=m.Running(uploaded_objects_count=3)),
            '{"details":{"Running":{"uploaded_objects_count":3}}}',
        ),
        (m.PushProgress(details="Complete"), '{"details":"Complete"}'),
        (
            m.PullRequest(force_update_if_diverged=True),
            '{"begin_after":null,"stop_at":null,"force_update_if_diverged":true}',
        ),
        (
            m.BlocksBatch(num_blocks=1, payload=b"\x00\xff"),
            '{"num_blocks":1,"media_type":"application/tar+gzip","encoding":"raw","payload":[0,255]}',
        ),
    ],
)
def test_messages_made_here_read_back_from_their_frame(message: BaseModel, text: str) -> None:
    assert m.dump_message(message) == text
    assert m.parse_message(type(message), text) == message


def test_unknown_fields_are_ignored_at_any_depth() -> None:
    plan = '{"num_blocks":0,"num_objects":0,"num_records":0,"bytes_in_raw_blocks":0,"bytes_in_raw_objects":0,"new":1}'
    text = f'{{"Ok":{{"transfer_plan":{plan},"new":[]}},"new":{{}}}}'

    assert isinstance(m.parse_message(m.PullResponse, text).root, m.Ok)


def test_absent_hashes_are_none() -> None:
    assert m.parse_message(m.PullRequest, '{"force_update_if_diverged":false}').begin_after is None


@pytest.mark.parametrize(
    ("model", "text", "problem"),
    [
        (m.PullRequest, "not json", "not a PullRequest: Invalid JSON"),
        (m.PullRequest, "{}", "force_update_if_diverged: Field required"),
        (m.PullRequest, '{"begin_after":"xyz","force_update_if_diverged":false}', "begin_after: "),
        (m.PullRequest, '{"force_update_if_diverged":"yes"}', "force_update_if_diverged: "),
        (m.PullResponse, "{}", "not a PullResponse"),
        (m.PullResponse, '{"Err":{"Surprise":{}}}', "not a PullResponse"),
        (m.PullResponse, '{"Err":{}}', "not a PullResponse"),
        (m.PushProgress, '{"details":"Done"}', "not a PushProgress"),
        (m.ObjectFile, '{"object_type":"Secret","physical_hash":"f1620","size":1}', "object_type"),
    ],
)
def test_a_malformed_message_is_refused_with_its_place(model: type[BaseModel], text: str, problem: str) -> None:
    with pytest.raises(m.MalformedMessageError, match=problem):
        m.parse_message(model, text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("media_type", "application/zip"),
        ("encoding", "base64"),
        ("payload", [256]),
        ("payload", ["a"]),
        ("payload", [-1]),
        ("payload", "AAAA"),
        ("num_blocks", -1),
    ],
)
def test_a_batch_of_another_kind_is_refused(field: str, value: Any) -> None:
    batch = {"num_blocks": 1, "media_type": "application/tar+gzip", "encoding": "raw", "payload": [1]}

    with pytest.raises(m.MalformedMessageError, match=field):
        m.parse_message(m.BlocksBatch, json.dumps(batch | {field: value}))
