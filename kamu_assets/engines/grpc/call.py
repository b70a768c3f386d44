"""One call of an engine behind an address: a message goes out, and the answer that ends the stream comes back."""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import grpc
from google.protobuf.message import DecodeError

from kamu_assets.engines.grpc.methods import OPTIONS, pack, path_of, unpack
from kamu_assets.engines.workers.limits import JobCancelledError, TimeLimitError
from kamu_assets.errors import UnavailableError
from kamu_assets.odf import engine_messages
from kamu_assets.odf.serde.engine_messages import MalformedMessageError

_LOOK_SECONDS: Final = 0.1
# For a stream to end that was cancelled; a thread that it keeps waiting is left behind.
_LEAVE_SECONDS: Final = 10.0
_NO_ANSWER: Final = "the engine sent neither Success nor an error before its stream ended"
_PROGRESS: Final = (engine_messages.RawQueryResponseProgress, engine_messages.TransformResponseProgress)

_Answer = TypeVar("_Answer")


class EngineUnreachableError(UnavailableError):
    """Nobody answers at the address of the engine."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"the engine at {address} cannot be reached: {reason}")
        self.address = address


@dataclass(frozen=True, slots=True)
class Call(Generic[_Answer]):
    """What is asked of whom; every call has a connection of its own, as kamu's have."""

    address: str
    method: str
    decode: Callable[[bytes], _Answer]
    time_seconds: float

    def run(self, message: bytes, *, cancel: threading.Event | None = None) -> _Answer | str:
        """The first answer that ends the call; a text when there is none."""
        with grpc.insecure_channel(self.address, OPTIONS) as channel:
            start = channel.unary_stream(path_of(self.method), request_serializer=pack, response_deserializer=bytes)
            call = start(message)
            answers: queue.SimpleQueue[_Answer | str | grpc.RpcError] = queue.SimpleQueue()
            reader = threading.Thread(target=self._read, args=(call, answers), name="engine-answers", daemon=True)
            reader.start()
            try:
                answer = self._wait(answers, cancel)
            finally:
                # Nobody looks at what may follow, trailers included.
                call.cancel()
                reader.join(_LEAVE_SECONDS)
        if isinstance(answer, grpc.RpcError):
            return self._failed(answer)
        return answer

    def _read(self, call: Any, answers: "queue.SimpleQueue[_Answer | str | grpc.RpcError]") -> None:
        """Pass the first final answer on, or what went wrong."""
        try:
            for message in call:
                answer = self.decode(unpack(message))
                if not isinstance(answer, _PROGRESS):
                    answers.put(answer)
                    return
            answers.put(_NO_ANSWER)
        except grpc.RpcError as error:
            answers.put(error)
        except (DecodeError, MalformedMessageError) as error:
            answers.put(f"the answer of the engine cannot be read: {error}")

    def _wait(
        self, answers: "queue.SimpleQueue[_Answer | str | grpc.RpcError]", cancel: threading.Event | None
    ) -> "_Answer | str | grpc.RpcError":
        deadline = time.monotonic() + self.time_seconds
        while True:
            try:
                return answers.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if cancel is not None and cancel.is_set():
                    raise JobCancelledError("engine") from None
                if time.monotonic() > deadline:
                    raise TimeLimitError("engine", self.time_seconds) from None

    def _failed(self, error: Any) -> str:
        code, details = error.code(), error.details()
        if code is grpc.StatusCode.UNAVAILABLE:
            raise EngineUnreachableError(self.address, details)
        return f"the call of the engine ended with {code.name}: {details}"
