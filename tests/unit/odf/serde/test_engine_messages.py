"""Messages between coordinator and engine: the bytes that kamu and its engine sent."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kamu_assets.odf.engine_messages import (
    RawQueryResponseSuccess,
    TransformResponseInternalError,
    TransformResponseProgress,
    TransformResponseSuccess,
)
from kamu_assets.odf.serde.engine_messages import (
    MalformedMessageError,
    decode_raw_query_request,
    decode_raw_query_response,
    decode_transform_request,
    decode_transform_response,
    encode_raw_query_request,
    encode_raw_query_response,
    encode_transform_request,
    encode_transform_response,
)
from tests.support.reference import reference_folder

RECORDED = reference_folder() / "odf/recorded"


def _calls() -> Iterator[dict[str, Any]]:
    for path in sorted(RECORDED.glob("derivative-*/engine.json")):
        yield from json.loads(path.read_text())["calls"]
    for case in json.loads((RECORDED / "engine-contract.json").read_text())["cases"]:
        yield from case["calls"]


CALLS = list(_calls())
TRANSFORMS = [bytes.fromhex(c["request"]["flatbufferHex"]) for c in CALLS if "RawQuery" not in c.get("method", "")]
RAW_QUERIES = [bytes.fromhex(c["request"]["flatbufferHex"]) for c in CALLS if "RawQuery" in c.get("method", "")]


def test_there_are_many_recorded_requests() -> None:
    assert len(TRANSFORMS) > 100
    assert len(RAW_QUERIES) == 4


@pytest.mark.parametrize("raw", TRANSFORMS)
def test_a_transform_request_is_written_as_kamu_writes_it(raw: bytes) -> None:
    assert encode_transform_request(decode_transform_request(raw)) == raw


@pytest.mark.parametrize("raw", RAW_QUERIES)
def test_a_raw_query_request_is_written_as_kamu_writes_it(raw: bytes) -> None:
    assert encode_raw_query_request(decode_raw_query_request(raw)) == raw


def test_a_successful_answer_is_written_as_the_engine_writes_it() -> None:
    answers = [
        bytes.fromhex(answer["flatbufferHex"])
        for call in CALLS
        if "RawQuery" not in call.get("method", "")
        for answer in call["responses"]
        if answer["decoded"].get("value_type") == "TransformResponseSuccess" and not answer.get("injected")
    ]

    assert answers
    assert [encode_transform_response(decode_transform_response(raw)) for raw in answers] == answers


@pytest.mark.parametrize(
    "answer",
    [
        TransformResponseProgress(),
        TransformResponseSuccess(),
        TransformResponseInternalError(message="broken"),
        TransformResponseInternalError(message="broken", backtrace="here\nthere"),
    ],
)
def test_an_answer_comes_back_as_it_was(answer: Any) -> None:
    assert decode_transform_response(encode_transform_response(answer)) == answer


def test_no_records_are_left_out_on_the_wire() -> None:
    none, one = (encode_raw_query_response(RawQueryResponseSuccess(num_records=count)) for count in (0, 1))

    assert len(none) < len(one)
    assert decode_raw_query_response(none) == RawQueryResponseSuccess(num_records=0)


@pytest.mark.parametrize("raw", [b"", b"\0", b"no flatbuffer at all", b"\xff" * 64, TRANSFORMS[0][:-100]])
def test_other_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        decode_transform_response(raw)
