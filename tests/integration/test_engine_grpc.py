"""An engine behind the wire: what it makes is committed as if it were here, and how it fails is told apart."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kamu_assets.coordinator.errors import TransformFailedError
from kamu_assets.coordinator.results import Updated
from kamu_assets.coordinator.service import Coordinator
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.engines.engine import (
    EngineContractError,
    InternalError,
    RawQueryRequest,
    RawQuerySuccess,
    TransformRequest,
    TransformResponse,
    TransformSuccess,
)
from kamu_assets.engines.grpc.call import EngineUnreachableError
from kamu_assets.engines.grpc.client import RemoteConfig, RemoteEngine
from kamu_assets.engines.grpc.methods import EXECUTE_TRANSFORM, pack, path_of, unpack
from kamu_assets.engines.grpc.paths import SAME_PATHS
from kamu_assets.engines.grpc.requests import transform_message
from kamu_assets.engines.grpc.server import CannotListenError, EngineServer
from kamu_assets.engines.workers.limits import JobCancelledError, MemoryLimitError, TimeLimitError
from kamu_assets.odf.data import DatasetVocabulary, OffsetInterval
from kamu_assets.odf.dataset import DatasetKind, ExecuteTransform
from kamu_assets.odf.engine import SqlQueryStep, TransformSql
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.engine_messages import decode_transform_response, encode_transform_request
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import START, a_dataset_id
from tests.support.coordination import InThisProcess, a_coordinator
from tests.support.heart import ADMIN, Heart
from tests.support.idle_derivative import reading
from tests.support.inline_engine import InlineEngine
from tests.support.scripted_engine import Call, ScriptedEngine

QUERY = 'select event_time, "offset" as place from a'


@pytest.fixture
def root(heart: Heart) -> DatasetEntry:
    root = heart.dataset("readings")
    heart.add_data(root.id)
    return root


@pytest.fixture
def derivative(heart: Heart, root: DatasetEntry) -> DatasetEntry:
    return heart.dataset("copy", reading(str(root.id), QUERY), kind=DatasetKind.DERIVATIVE)


@contextmanager
def remote(engine: Any, *, seconds: float = 60.0) -> Iterator[RemoteEngine]:
    with EngineServer(engine, port=0) as server:
        yield RemoteEngine(RemoteConfig(f"127.0.0.1:{server.port}", seconds), InThisProcess())


def coordinator(heart: Heart, home: Path, engine: Any) -> Coordinator:
    return a_coordinator(heart, base=home, engines={"datafusion": engine})


def last_event(heart: Heart, dataset: DatasetEntry) -> ExecuteTransform:
    (newest, *_) = heart.datasets.log(ADMIN, dataset.id)
    assert isinstance(newest.block.event, ExecuteTransform)
    return newest.block.event


def in_place(request: TransformRequest) -> TransformResponse:
    return InlineEngine().transform(request)


def test_a_remote_engine_makes_the_same_block_as_one_in_this_process(
    heart: Heart, root: DatasetEntry, derivative: DatasetEntry, tmp_path: Path
) -> None:
    other = heart.dataset("other", reading(str(root.id), QUERY), kind=DatasetKind.DERIVATIVE)

    coordinator(heart, tmp_path, InlineEngine()).pull(ADMIN, other.id)
    with remote(InlineEngine()) as engine:
        result = coordinator(heart, tmp_path, engine).pull(ADMIN, derivative.id)

    assert isinstance(result, Updated)
    assert result.records == 10
    assert last_event(heart, derivative) == last_event(heart, other)
    assert heart.chains.state(derivative.id).schema == heart.chains.state(other.id).schema


def test_nothing_is_left_beside_the_data(heart: Heart, derivative: DatasetEntry, tmp_path: Path) -> None:
    with remote(InlineEngine()) as engine:
        coordinator(heart, tmp_path, engine).pull(ADMIN, derivative.id)

    assert list(heart.volumes.staging(DatasetKind.DERIVATIVE).iterdir()) == []


def test_a_checkpoint_is_committed_and_given_back_the_next_time(
    heart: Heart, root: DatasetEntry, derivative: DatasetEntry, tmp_path: Path
) -> None:
    def answer(request: TransformRequest, _: Call) -> TransformResponse:
        before = request.prev_checkpoint_path.read_bytes() if request.prev_checkpoint_path else b""
        request.new_checkpoint_path.write_bytes(before + b"+")
        return in_place(request)

    with remote(ScriptedEngine(answer)) as engine:
        pulling = coordinator(heart, tmp_path, engine)
        pulling.pull(ADMIN, derivative.id)
        heart.add_data(root.id)
        pulling.pull(ADMIN, derivative.id)

    event = last_event(heart, derivative)
    assert event.prev_checkpoint == Multihash.sha3_256(b"+")
    assert event.new_checkpoint is not None
    assert event.new_checkpoint.physical_hash == Multihash.sha3_256(b"++")


def test_an_input_without_news_is_shown_by_its_schema(
    heart: Heart, root: DatasetEntry, derivative: DatasetEntry, tmp_path: Path
) -> None:
    engine = ScriptedEngine(lambda request, _: in_place(request))
    with remote(engine) as there:
        pulling = coordinator(heart, tmp_path, there)
        pulling.pull(ADMIN, derivative.id)
        mark = Timestamp.parse("2024-06-01T00:00:00Z")
        pulling.set_watermark(ADMIN, root.id, mark)
        pulling.pull(ADMIN, derivative.id)

    (_, second) = engine.requests
    assert second.query_inputs[0].data_paths == ()
    assert last_event(heart, derivative).new_watermark == mark
    assert last_event(heart, derivative).new_data is None


def claims(start: int, end: int) -> Callable[[TransformRequest, Call], TransformResponse]:
    def answer(request: TransformRequest, _: Call) -> TransformResponse:
        in_place(request)
        return TransformSuccess(OffsetInterval(start=start, end=end), None)

    return answer


def writes_nothing(_: TransformRequest, __: Call) -> TransformResponse:
    return TransformSuccess(OffsetInterval(start=0, end=9), None)


def writes_garbage(request: TransformRequest, _: Call) -> TransformResponse:
    request.new_data_path.write_bytes(b"no Parquet")
    return TransformSuccess(OffsetInterval(start=0, end=9), None)


def numbers_from_one(request: TransformRequest, _: Call) -> TransformResponse:
    in_place(request)
    table = pq.read_table(request.new_data_path)
    pq.write_table(table.set_column(0, table.schema.field(0), [[*range(1, 11)]]), request.new_data_path)
    return TransformSuccess(OffsetInterval(start=1, end=10), None)


@pytest.mark.parametrize("answer", [claims(0, 8), claims(1, 10), writes_nothing, writes_garbage, numbers_from_one])
def test_a_success_that_does_not_hold_together_commits_nothing(
    heart: Heart, derivative: DatasetEntry, tmp_path: Path, answer: Callable[..., TransformResponse]
) -> None:
    before = heart.chains.head(derivative.id)

    with remote(ScriptedEngine(answer)) as engine, pytest.raises(EngineContractError):
        coordinator(heart, tmp_path, engine).pull(ADMIN, derivative.id)

    assert heart.chains.head(derivative.id) == before


def breaks(_: TransformRequest, __: Call) -> TransformResponse:
    raise ZeroDivisionError


def needs_much(_: TransformRequest, __: Call) -> TransformResponse:
    raise MemoryLimitError("engine", 1 << 20)


def test_a_bug_of_the_engine_is_told(heart: Heart, derivative: DatasetEntry, tmp_path: Path) -> None:
    with remote(ScriptedEngine(breaks)) as engine, pytest.raises(TransformFailedError, match="ZeroDivisionError"):
        coordinator(heart, tmp_path, engine).pull(ADMIN, derivative.id)


def test_a_limit_that_was_met_is_told(heart: Heart, derivative: DatasetEntry, tmp_path: Path) -> None:
    with remote(ScriptedEngine(needs_much)) as engine, pytest.raises(TransformFailedError, match="memory"):
        coordinator(heart, tmp_path, engine).pull(ADMIN, derivative.id)


def test_an_engine_that_is_not_there_is_unavailable(heart: Heart, derivative: DatasetEntry, tmp_path: Path) -> None:
    engine = RemoteEngine(RemoteConfig("127.0.0.1:1", 60.0), InThisProcess())

    with pytest.raises(EngineUnreachableError, match=r"127\.0\.0\.1:1"):
        coordinator(heart, tmp_path, engine).pull(ADMIN, derivative.id)


class Waiting:
    """Works until nobody wants the answer any more."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.left = threading.Event()

    def __call__(self, _: TransformRequest, call: Call) -> TransformResponse:
        self.started.set()
        while not call.cancel.wait(0.01):
            call.on_progress(1)
        self.left.set()
        return InternalError("nobody listens")


def a_request(home: Path) -> TransformRequest:
    return TransformRequest(
        dataset_id=a_dataset_id("copy"),
        dataset_alias=DatasetAlias.parse("kamu/copy"),
        system_time=START,
        vocab=DatasetVocabulary(),
        transform=TransformSql(engine="datafusion", queries=(SqlQueryStep(query="select 1"),)),
        query_inputs=(),
        next_offset=0,
        prev_checkpoint_path=None,
        new_checkpoint_path=home / "checkpoint",
        new_data_path=home / "data",
    )


def test_the_time_limit_ends_the_call_at_both_ends(tmp_path: Path) -> None:
    waiting = Waiting()

    with remote(ScriptedEngine(waiting), seconds=0.3) as engine, pytest.raises(TimeLimitError):
        engine.transform(a_request(tmp_path))

    assert waiting.left.wait(20)


def test_a_cancelled_call_ends_at_both_ends(tmp_path: Path) -> None:
    waiting, cancel = Waiting(), threading.Event()

    def cancel_once_started() -> None:
        waiting.started.wait(20)
        cancel.set()

    thread = threading.Thread(target=cancel_once_started)
    thread.start()
    with remote(ScriptedEngine(waiting)) as engine, pytest.raises(JobCancelledError):
        engine.transform(a_request(tmp_path), cancel=cancel)

    thread.join()
    assert waiting.left.wait(20)


def test_progress_comes_before_the_answer(tmp_path: Path) -> None:
    def answer(_: TransformRequest, call: Call) -> TransformResponse:
        call.on_progress(1)
        time.sleep(0.05)
        call.on_progress(2)
        return InternalError("the end")

    with EngineServer(ScriptedEngine(answer), port=0) as server:
        answers = [decode_transform_response(found) for found in sent(server.port, a_request(tmp_path))]

    kinds = [type(found).__name__.removeprefix("TransformResponse") for found in answers]
    assert kinds[0] == "Progress"
    assert kinds[-1] == "InternalError"
    assert set(kinds[:-1]) == {"Progress"}


def sent(port: int, request: TransformRequest) -> list[bytes]:
    message = encode_transform_request(transform_message(request, SAME_PATHS, {}))
    return [unpack(found) for found in raw_call(port, pack(message))]


def raw_call(port: int, message: bytes) -> list[bytes]:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        start = channel.unary_stream(path_of(EXECUTE_TRANSFORM), request_serializer=bytes, response_deserializer=bytes)
        return list(start(message))


@pytest.mark.parametrize("message", [pack(b"no flatbuffer"), b"\xff\xff no protobuf", b""])
def test_a_request_that_cannot_be_read_is_refused(message: bytes) -> None:
    with EngineServer(InlineEngine(), port=0) as server, pytest.raises(grpc.RpcError) as refusal:
        raw_call(server.port, message)

    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_port_that_is_taken_is_told() -> None:
    with EngineServer(InlineEngine(), port=0) as server, pytest.raises(CannotListenError, match=str(server.port)):
        EngineServer(InlineEngine(), port=server.port)


def test_a_raw_query_writes_its_result(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1, 2, 3]}), tmp_path / "input")
    query = TransformSql(engine="datafusion", queries=(SqlQueryStep(query="select x from input where x > 1"),))

    with remote(InlineEngine()) as engine:
        answer = engine.raw_query(RawQueryRequest((str(tmp_path / "input"),), query, tmp_path / "output"))

    assert answer == RawQuerySuccess(2)
    assert pq.read_table(tmp_path / "output").to_pydict() == {"x": [2, 3]}
