"""The engine contract: recorded calls, made by our client over the wire to our server, end as they did for kamu."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from kamu_assets.engines.engine import (
    EngineContractError,
    InternalError,
    InvalidQuery,
    RawQueryResponse,
    RawQuerySuccess,
    TransformResponse,
    TransformSuccess,
)
from kamu_assets.engines.grpc.client import RemoteConfig, RemoteEngine
from kamu_assets.engines.grpc.paths import Mount, PathMapping
from kamu_assets.engines.grpc.requests import raw_query_request, transform_request
from kamu_assets.engines.grpc.server import EngineServer
from kamu_assets.engines.slices.listing import schema_from_ipc
from kamu_assets.odf.arrow_schema import from_arrow
from kamu_assets.odf.engine_messages import RawQueryRequest
from kamu_assets.odf.serde.engine_messages import decode_raw_query_response, decode_transform_response
from tests.conformance.cases import Case, Evidence
from tests.conformance.difference import expect
from tests.support.coordination import InThisProcess
from tests.support.engine_wire import Proxy, WireCall, WireCase, proxy, wire_cases, write_inputs
from tests.support.idle_derivative import calls_without_news
from tests.support.inline_engine import InlineEngine

RECORDED = "engine-contract.json"
_SECONDS = 60.0


def engine_cases(folder: Path) -> Iterator[Case]:
    """One for each case of the contract, if the folder has it."""
    path = folder / RECORDED
    for case in wire_cases(path) if path.exists() else ():
        yield Case(Evidence.ENGINE, case.name, partial(check_case, case))


def check_case(case: WireCase) -> None:
    with tempfile.TemporaryDirectory(prefix="engine-") as home:
        if not case.calls:
            expect("calls without news", ours=calls_without_news(Path(home)), theirs=0)
        for call in case.calls:
            _check_call(case, call, Path(home))


def _check_call(case: WireCase, call: WireCall, home: Path) -> None:
    into, out = home / "in", home / "out"
    into.mkdir()
    out.mkdir()
    write_inputs(call, into)
    paths = PathMapping((Mount(str(into), "/opt/engine/in"), Mount(str(out), "/opt/engine/out")))
    with (
        EngineServer(InlineEngine(), port=0, paths=paths) as server,
        proxy(call, f"127.0.0.1:{server.port}", out) as between,
    ):
        engine = RemoteEngine(RemoteConfig(between.address, _SECONDS, paths, exchange=into), InThisProcess())
        answer = _ask(engine, call, paths)
    expect("requests", ours=[found.hex() for found in between.requests], theirs=[call.request.hex()])
    _compare_answers(call, between)
    expect("reaction", ours=_reaction(answer), theirs=case.reaction)
    _compare_files(call, out)
    if isinstance(answer, TransformSuccess):
        _compare_events(case, answer)


def _ask(
    engine: RemoteEngine, call: WireCall, paths: PathMapping
) -> TransformResponse | RawQueryResponse | EngineContractError:
    message = call.message()
    try:
        if isinstance(message, RawQueryRequest):
            return engine.raw_query(raw_query_request(message, paths))
        return engine.transform(transform_request(message, paths))
    except EngineContractError as error:
        return error


def _reaction(answer: object) -> str:
    match answer:
        case TransformSuccess() | RawQuerySuccess():
            return "success"
        case InvalidQuery():
            return "invalid query"
        case InternalError():
            return "internal error"
        case _:
            return "contract error"


def _compare_answers(call: WireCall, between: Proxy) -> None:
    decode = decode_transform_response if call.is_transform else decode_raw_query_response
    expect("number of answers", ours=len(between.answers), theirs=len(call.answers))
    for ours, recorded in zip(between.answers, call.answers, strict=True):
        theirs = bytes.fromhex(recorded["flatbufferHex"])
        if not recorded.get("injected"):
            expect("answer", ours=_told(decode(ours)), theirs=_told(decode(theirs)))


def _told(answer: Any) -> dict[str, Any]:
    """What an answer says; the words of messages are each engine's own."""
    return {"answer": type(answer).__name__} | {
        name: str(value) for name, value in answer if name not in ("message", "backtrace")
    }


def _compare_files(call: WireCall, out: Path) -> None:
    # What a failed engine leaves half-written is of no interest to anybody.
    recorded = sorted(name for name in call.recorded["filesInOut"] if name != "data.parquet")
    expect("files", ours=sorted(path.name for path in out.iterdir()), theirs=recorded)


def _compare_events(case: WireCase, answer: TransformSuccess) -> None:
    for event in case.added:
        if event["kind"] == "SetDataSchema":
            schema = from_arrow(schema_from_ipc(answer.schema or b""))
            expect(
                "schema", ours=schema.model_dump(by_alias=True, exclude_none=True, mode="json"), theirs=event["schema"]
            )
        else:
            interval, mark = answer.new_offset_interval, answer.new_watermark
            expect(
                "offsets",
                ours=interval and interval.model_dump(),
                theirs=event.get("newData", {}).get("offsetInterval"),
            )
            expect("watermark", ours=str(mark) if mark else None, theirs=event.get("newWatermark"))
