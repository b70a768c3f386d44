"""Serves an engine of ours to any coordinator that speaks the contract, kamu's too."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Self

import grpc
import structlog
from google.protobuf.message import DecodeError

from kamu_assets.engines.engine import (
    Engine,
    InternalError,
    InvalidQuery,
    RawQueryResponse,
    RawQuerySuccess,
    TransformResponse,
    TransformSuccess,
)
from kamu_assets.engines.grpc.methods import (
    EXECUTE_RAW_QUERY,
    EXECUTE_TRANSFORM,
    OPTIONS,
    PORT,
    SERVICE,
    pack,
    unpack,
)
from kamu_assets.engines.grpc.paths import SAME_PATHS, PathMapping
from kamu_assets.engines.grpc.requests import raw_query_request, transform_request
from kamu_assets.errors import KamuError, UnavailableError
from kamu_assets.odf import engine_messages
from kamu_assets.odf.serde.engine_messages import (
    MalformedMessageError,
    decode_raw_query_request,
    decode_transform_request,
    encode_raw_query_response,
    encode_transform_response,
)

log = structlog.get_logger(__name__)

Work = Callable[[Callable[[Any], None], threading.Event], bytes]

# For calls that run when the server leaves; whoever made them is told at once.
LEAVING_SECONDS: Final = 10.0
_TRANSFORM_PROGRESS: Final = encode_transform_response(engine_messages.TransformResponseProgress())
_RAW_QUERY_PROGRESS: Final = encode_raw_query_response(engine_messages.RawQueryResponseProgress())


class CannotListenError(UnavailableError):
    """The address is taken, or is not of this machine."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"cannot listen on {host}:{port}: the port is taken, or the address is not of this machine")


class EngineServer:
    """Listens at a port (0: any free one) and answers each call with its own thread. Use as a context manager."""

    def __init__(
        self,
        engine: Engine,
        *,
        host: str = "127.0.0.1",
        port: int = PORT,
        paths: PathMapping = SAME_PATHS,
        calls: int = 4,
    ) -> None:
        self._engine = engine
        self._paths = paths
        # Two servers must not share a port by accident.
        options = (*OPTIONS, ("grpc.so_reuseport", 0))
        self._server = grpc.server(ThreadPoolExecutor(calls, thread_name_prefix="engine-call"), options=options)
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, self._methods()),))
        try:
            self.port = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise CannotListenError(host, port) from error

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take no more calls, and cancel those that run."""
        if not self._server.stop(None).wait(LEAVING_SECONDS):
            log.warning("engine_calls_left_behind", seconds=LEAVING_SECONDS)

    def wait(self) -> None:
        """Until somebody stops it."""
        self._server.wait_for_termination()

    def _methods(self) -> dict[str, Any]:
        methods = {EXECUTE_TRANSFORM: self._execute_transform, EXECUTE_RAW_QUERY: self._execute_raw_query}
        return {
            name: grpc.unary_stream_rpc_method_handler(method, request_deserializer=bytes, response_serializer=pack)
            for name, method in methods.items()
        }

    def _execute_transform(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        request = _parsed(message, decode_transform_request, context)

        def work(on_progress: Callable[[Any], None], cancel: threading.Event) -> bytes:
            try:
                asked = transform_request(request, self._paths)
                answer = self._engine.transform(asked, on_progress=on_progress, cancel=cancel)
            except (KamuError, OSError) as error:
                answer = InternalError(str(error))
            return encode_transform_response(_transform_answer(answer))

        yield from _serve(work, _TRANSFORM_PROGRESS, context)

    def _execute_raw_query(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        request = _parsed(message, decode_raw_query_request, context)

        def work(on_progress: Callable[[Any], None], cancel: threading.Event) -> bytes:
            try:
                asked = raw_query_request(request, self._paths)
                answer = self._engine.raw_query(asked, on_progress=on_progress, cancel=cancel)
            except (KamuError, OSError) as error:
                answer = InternalError(str(error))
            return encode_raw_query_response(_raw_query_answer(answer))

        yield from _serve(work, _RAW_QUERY_PROGRESS, context)


def _parsed(message: bytes, decode: Callable[[bytes], Any], context: grpc.ServicerContext) -> Any:
    try:
        return decode(unpack(message))
    except (DecodeError, MalformedMessageError) as error:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


def _serve(work: Work, progress: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    """Progress while the engine works, then its answer; a caller that has gone cancels the work, and is not served."""
    cancel, news = threading.Event(), queue.SimpleQueue[bytes | BaseException | None]()

    def leave() -> None:
        cancel.set()
        news.put(None)

    if not context.add_callback(leave):
        return

    def report(_: Any) -> None:
        # Reports that nobody has fetched yet say all there is to say.
        if news.empty():
            news.put(progress)

    def run() -> None:
        try:
            news.put(work(report, cancel))
        except BaseException as error:
            # Whatever it is, the caller waits for an end.
            log.exception("engine_call_failed")
            news.put(error)

    threading.Thread(target=run, name="engine-work", daemon=True).start()
    while (found := news.get()) is progress:
        yield found
    if isinstance(found, BaseException):
        context.abort(grpc.StatusCode.INTERNAL, f"{type(found).__name__}: {found}")
    if found is not None:
        yield found


def _transform_answer(answer: TransformResponse) -> engine_messages.TransformResponse:
    match answer:
        case TransformSuccess():
            return engine_messages.TransformResponseSuccess(
                new_offset_interval=answer.new_offset_interval, new_watermark=answer.new_watermark
            )
        case InvalidQuery(message=text):
            return engine_messages.TransformResponseInvalidQuery(message=text)
        case InternalError(message=text):
            return engine_messages.TransformResponseInternalError(message=text)


def _raw_query_answer(answer: RawQueryResponse) -> engine_messages.RawQueryResponse:
    match answer:
        case RawQuerySuccess(num_records=count):
            return engine_messages.RawQueryResponseSuccess(num_records=count)
        case InvalidQuery(message=text):
            return engine_messages.RawQueryResponseInvalidQuery(message=text)
        case InternalError(message=text):
            return engine_messages.RawQueryResponseInternalError(message=text)
