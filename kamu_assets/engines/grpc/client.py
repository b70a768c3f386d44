"""An engine behind an address: ours is the part of kamu that sends requests and reads the stream of answers."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol, TypeVar

import grpc
import pyarrow.parquet as pq
from google.protobuf.message import DecodeError

from kamu_assets.engines.engine import (
    EngineContractError,
    InternalError,
    InvalidQuery,
    OnProgress,
    RawQueryRequest,
    RawQueryResponse,
    RawQuerySuccess,
    TransformRequest,
    TransformResponse,
    TransformSuccess,
)
from kamu_assets.engines.grpc.methods import EXECUTE_RAW_QUERY, EXECUTE_TRANSFORM, OPTIONS, pack, path_of, unpack
from kamu_assets.engines.grpc.paths import SAME_PATHS, PathMapping
from kamu_assets.engines.grpc.requests import raw_query_message, schema_file_name, transform_message
from kamu_assets.engines.grpc.slice_stats import FoundSlice, SliceFile, read_foreign_slice
from kamu_assets.engines.listing import schema_from_ipc
from kamu_assets.engines.worker_limits import JobCancelledError, TimeLimitError
from kamu_assets.errors import UnavailableError
from kamu_assets.odf import engine_messages
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.serde.engine_messages import (
    MalformedMessageError,
    decode_raw_query_response,
    decode_transform_response,
    encode_raw_query_request,
    encode_transform_request,
)

_LOOK_SECONDS: Final = 0.1
_NO_ANSWER: Final = "the engine sent neither Success nor an error before its stream ended"

_PROGRESS: Final = (engine_messages.RawQueryResponseProgress, engine_messages.TransformResponseProgress)

_Req = TypeVar("_Req")
_Res = TypeVar("_Res")
_Answer = TypeVar("_Answer")


class EngineUnreachableError(UnavailableError):
    """Nobody answers at the address of the engine."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"the engine at {address} cannot be reached: {reason}")
        self.address = address


class JobRunner(Protocol):
    """Runs a job elsewhere: a worker pool."""

    def run(self, job: Callable[[_Req], _Res], request: _Req, *, cancel: threading.Event | None = None) -> _Res:
        """The result of `job(request)`."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """Where an engine is, and how long it may take."""

    address: str
    time_seconds: float
    paths: PathMapping = SAME_PATHS
    # Where files that show the schemas of inputs lie; else a folder of the call's own beside the output.
    exchange: Path | None = None


class RemoteEngine:
    """Talks to one address; every call has a connection of its own, as kamu's have."""

    def __init__(self, config: RemoteConfig, pool: JobRunner) -> None:
        self._config = config
        self._pool = pool

    def transform(
        self,
        request: TransformRequest,
        *,
        on_progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> TransformResponse:
        del on_progress  # what engines report has no content
        with self._schema_files(request) as schemas:
            message = encode_transform_request(transform_message(request, self._config.paths, schemas))
            answer = self._call(EXECUTE_TRANSFORM, message, decode_transform_response, cancel)
        match answer:
            case engine_messages.TransformResponseSuccess():
                return self._transformed(request, answer, cancel)
            case engine_messages.TransformResponseInvalidQuery(message=text):
                return InvalidQuery(text)
            case engine_messages.TransformResponseInternalError(message=text, backtrace=trace):
                return InternalError(_with_trace(text, trace))
            case other:
                return InternalError(str(other))

    def raw_query(
        self,
        request: RawQueryRequest,
        *,
        on_progress: OnProgress | None = None,
        cancel: threading.Event | None = None,
    ) -> RawQueryResponse:
        del on_progress  # as above
        message = encode_raw_query_request(raw_query_message(request, self._config.paths))
        answer = self._call(EXECUTE_RAW_QUERY, message, decode_raw_query_response, cancel)
        match answer:
            case engine_messages.RawQueryResponseSuccess(num_records=count):
                if not request.output_data_path.exists():
                    raise EngineContractError("the engine did not write the result of its query")
                return RawQuerySuccess(count)
            case engine_messages.RawQueryResponseInvalidQuery(message=text):
                return InvalidQuery(text)
            case engine_messages.RawQueryResponseInternalError(message=text, backtrace=trace):
                return InternalError(_with_trace(text, trace))
            case other:
                return InternalError(str(other))

    def _transformed(
        self,
        request: TransformRequest,
        answer: engine_messages.TransformResponseSuccess,
        cancel: threading.Event | None,
    ) -> TransformSuccess:
        interval = answer.new_offset_interval
        if not request.new_data_path.exists():
            if interval is not None:
                raise EngineContractError("the engine names new records but wrote no data file")
            return TransformSuccess(None, answer.new_watermark)
        job = SliceFile(request.new_data_path, request.vocab, request.next_offset)
        found: FoundSlice = self._pool.run(read_foreign_slice, job, cancel=cancel)
        named = (None, None) if interval is None else (interval.start, interval.end)
        if named != (found.stats.first_offset, found.stats.last_offset):
            raise EngineContractError(
                f"the engine names the offsets {named}, its data file holds "
                f"{(found.stats.first_offset, found.stats.last_offset)}"
            )
        return TransformSuccess(interval, answer.new_watermark, found.stats, found.schema)

    @contextmanager
    def _schema_files(self, request: TransformRequest) -> Iterator[dict[DatasetID, Path]]:
        """A Parquet file without rows for each input."""
        folder = self._config.exchange
        with TemporaryDirectory(prefix="engine-", dir=folder or request.new_data_path.parent) as own:
            files = {
                one.dataset_id: (folder or Path(own)) / schema_file_name(one.dataset_id) for one in request.query_inputs
            }
            for one in request.query_inputs:
                table = schema_from_ipc(one.schema).empty_table()
                pq.write_table(table, files[one.dataset_id], version="1.0")
            yield files

    def _call(
        self, method: str, message: bytes, decode: Callable[[bytes], _Answer], cancel: threading.Event | None
    ) -> _Answer | str:
        """The first answer that ends the call; a text when there is none."""
        with grpc.insecure_channel(self._config.address, OPTIONS) as channel:
            start = channel.unary_stream(path_of(method), request_serializer=pack, response_deserializer=bytes)
            call = start(message)
            answers: queue.SimpleQueue[_Answer | str | grpc.RpcError] = queue.SimpleQueue()
            reader = threading.Thread(target=_read, args=(call, decode, answers), name="engine-answers", daemon=True)
            reader.start()
            try:
                answer = self._wait(answers, cancel)
            finally:
                # Nobody looks at what may follow, trailers included.
                call.cancel()
                reader.join()
        if isinstance(answer, grpc.RpcError):
            return self._failed(answer)
        return answer

    def _wait(self, answers: "queue.SimpleQueue[_Answer]", cancel: threading.Event | None) -> _Answer:
        deadline = time.monotonic() + self._config.time_seconds
        while True:
            try:
                return answers.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if cancel is not None and cancel.is_set():
                    raise JobCancelledError("engine") from None
                if time.monotonic() > deadline:
                    raise TimeLimitError("engine", self._config.time_seconds) from None

    def _failed(self, error: Any) -> str:
        code, details = error.code(), error.details()
        if code is grpc.StatusCode.UNAVAILABLE:
            raise EngineUnreachableError(self._config.address, details)
        return f"the call of the engine ended with {code.name}: {details}"


def _read(
    call: Any, decode: Callable[[bytes], _Answer], answers: "queue.SimpleQueue[_Answer | str | grpc.RpcError]"
) -> None:
    """Pass the first final answer on, or what went wrong."""
    try:
        for message in call:
            answer = decode(unpack(message))
            if not isinstance(answer, _PROGRESS):
                answers.put(answer)
                return
        answers.put(_NO_ANSWER)
    except grpc.RpcError as error:
        answers.put(error)
    except (DecodeError, MalformedMessageError) as error:
        answers.put(f"the answer of the engine cannot be read: {error}")


def _with_trace(message: str, trace: str | None) -> str:
    return f"{message}\n{trace}" if trace else message
