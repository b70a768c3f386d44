"""An engine behind an address: ours is the part of kamu that sends requests and reads the stream of answers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pyarrow.parquet as pq

from kamu_assets.engines.engine import (
    InternalError,
    InvalidQuery,
    OnProgress,
    RawQueryRequest,
    RawQueryResponse,
    TransformRequest,
    TransformResponse,
)
from kamu_assets.engines.grpc.call import Call
from kamu_assets.engines.grpc.foreign import queried, transformed
from kamu_assets.engines.grpc.methods import EXECUTE_RAW_QUERY, EXECUTE_TRANSFORM
from kamu_assets.engines.grpc.paths import SAME_PATHS, PathMapping
from kamu_assets.engines.grpc.requests import raw_query_message, schema_file_name, transform_message
from kamu_assets.engines.slices.listing import schema_from_ipc
from kamu_assets.engines.workers.job_runner import JobRunner
from kamu_assets.odf import engine_messages
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.serde.engine_messages import (
    decode_raw_query_response,
    decode_transform_response,
    encode_raw_query_request,
    encode_transform_request,
)

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """Where an engine is, and how long it may take."""

    address: str
    time_seconds: float
    paths: PathMapping = SAME_PATHS
    # Where files that show the schemas of inputs lie; else a folder of the call's own beside the output.
    exchange: Path | None = None


class RemoteEngine:
    """Talks to one address."""

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
            answer = self._call(EXECUTE_TRANSFORM, decode_transform_response).run(message, cancel=cancel)
        match answer:
            case engine_messages.TransformResponseSuccess():
                return transformed(request, answer, self._pool, cancel=cancel)
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
        answer = self._call(EXECUTE_RAW_QUERY, decode_raw_query_response).run(message, cancel=cancel)
        match answer:
            case engine_messages.RawQueryResponseSuccess():
                return queried(request, answer)
            case engine_messages.RawQueryResponseInvalidQuery(message=text):
                return InvalidQuery(text)
            case engine_messages.RawQueryResponseInternalError(message=text, backtrace=trace):
                return InternalError(_with_trace(text, trace))
            case other:
                return InternalError(str(other))

    def _call(self, method: str, decode: Callable[[bytes], _Answer]) -> Call[_Answer]:
        return Call(self._config.address, method, decode, self._config.time_seconds)

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


def _with_trace(message: str, trace: str | None) -> str:
    return f"{message}\n{trace}" if trace else message
