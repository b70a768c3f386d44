"""A recorded call of an engine on the wire, and a server between client and engine that plays what was recorded.

The recordings came about the same way: a proxy passed calls on to the engine, changed some answers, and left files.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pyarrow as pa
import pyarrow.parquet as pq

from kamu_assets.engines.grpc.methods import OPTIONS, SERVICE, pack, path_of, unpack
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.engine_messages import RawQueryRequest, TransformRequest, TransformRequestInput
from kamu_assets.odf.serde.engine_messages import decode_raw_query_request, decode_transform_request

Json = Mapping[str, Any]

MILLIS = pa.timestamp("ms", "UTC")
SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("op", pa.int32(), nullable=False),
        pa.field("system_time", MILLIS, nullable=False),
        pa.field("event_time", MILLIS, nullable=False),
        pa.field("sensor", pa.string()),
        pa.field("temp", pa.float64()),
    ]
)


@dataclass(frozen=True)
class WireCall:
    """One call of a case."""

    recorded: Json

    @property
    def method(self) -> str:
        found: str = self.recorded["method"].rpartition("/")[2]
        return found

    @property
    def is_transform(self) -> bool:
        return self.method == "ExecuteTransform"

    @property
    def request(self) -> bytes:
        return bytes.fromhex(self.recorded["request"]["flatbufferHex"])

    @property
    def answers(self) -> list[Json]:
        return list(self.recorded["responses"])

    @property
    def success(self) -> Json | None:
        """What the engine said to have made."""
        last = self.answers[-1]["decoded"] if self.answers else {}
        return last["value"] if last.get("value_type", "").endswith("Success") else None

    @property
    def checkpoint(self) -> bytes | None:
        found = self.recorded.get("checkpointFileHex")
        return bytes.fromhex(found) if found else None

    def message(self) -> TransformRequest | RawQueryRequest:
        return decode_transform_request(self.request) if self.is_transform else decode_raw_query_request(self.request)

    def output_rows(self) -> int | None:
        """How many rows came out, if any number was told."""
        if self.success is None:
            return None
        if not self.is_transform:
            return int(self.success.get("num_records", 0))
        interval = self.success.get("new_offset_interval")
        return 0 if interval is None else interval.get("end", 0) - interval.get("start", 0) + 1


@dataclass(frozen=True)
class WireCase:
    """Calls that kamu made for one command, and what it did with the answers."""

    recorded: Json

    @property
    def name(self) -> str:
        found: str = self.recorded["name"]
        return found

    @property
    def calls(self) -> list[WireCall]:
        return [WireCall(call) for call in self.recorded["calls"]]

    @property
    def added(self) -> list[Json]:
        """Events that kamu committed."""
        return [block["event"] for block in self.recorded["kamu"].get("blocksAdded", ())]

    @property
    def reaction(self) -> str:
        """How kamu called it."""
        text = "\n".join(self.recorded["kamu"]["text"])
        if self.recorded["kamu"]["result"] != "error":
            return "success"
        words = {"Invalid query": "invalid query", "Contract error": "contract error"}
        return next((kind for word, kind in words.items() if word in text), "internal error")


def wire_cases(path: Path) -> list[WireCase]:
    return [WireCase(case) for case in json.loads(path.read_text())["cases"]]


def write_inputs(call: WireCall, folder: Path) -> None:
    """Files under the recorded names, with rows that give as many as came out."""
    message = call.message()
    if isinstance(message, RawQueryRequest):
        table = _rows(OffsetInterval(start=0, end=1), call.output_rows()).select(["event_time", "sensor", "temp"])
        for path in message.input_data_paths:
            pq.write_table(table, folder / Path(path).name)
        return
    for one in message.query_inputs:
        pq.write_table(SCHEMA.empty_table(), folder / Path(one.schema_file).name)
        _write_slices(one, call.output_rows(), folder)
    if message.prev_checkpoint_path:
        (folder / Path(message.prev_checkpoint_path).name).write_bytes(b"checkpoint one")


def _write_slices(one: TransformRequestInput, outputs: int | None, folder: Path) -> None:
    if one.offset_interval is None:
        return
    table, paths = _rows(one.offset_interval, outputs), [folder / Path(path).name for path in one.data_paths]
    for number, path in enumerate(paths):
        last = number == len(paths) - 1
        pq.write_table(table.slice(number, None if last else 1), path)


def _rows(interval: OffsetInterval, outputs: int | None) -> pa.Table:
    """The recorded queries drop what is cold."""
    offsets = list(range(interval.start, interval.end + 1))
    warm = len(offsets) if outputs is None else outputs
    columns = [
        offsets,
        [0] * len(offsets),
        [1_000] * len(offsets),
        [2_000 + offset for offset in offsets],
        [f"sensor {offset}" for offset in offsets],
        [1.5 if number < warm else -1.5 for number in range(len(offsets))],
    ]
    arrays = [pa.array(values, kind.type) for values, kind in zip(columns, SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


@dataclass
class Proxy:
    """Passes calls on to an engine, except for answers that were made up in the recording."""

    call: WireCall
    engine: str
    out: Path
    requests: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    address: str = ""

    def answer(self, message: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        self.requests.append(unpack(message))
        for one in self.call.answers:
            if one.get("injected"):
                yield self._told(bytes.fromhex(one["flatbufferHex"]))
            else:
                answers = list(self._ask(message))
                # Before the answer: the client leaves as soon as it has that.
                if self.call.checkpoint:
                    (self.out / "checkpoint").write_bytes(self.call.checkpoint)
                yield from map(self._told, answers)
        status = self.call.recorded.get("grpcStatus") or "OK"
        if status != "OK":
            context.abort(getattr(grpc.StatusCode, status), "made up")

    def _told(self, content: bytes) -> bytes:
        self.answers.append(content)
        return pack(content)

    def _ask(self, message: bytes) -> Iterator[bytes]:
        with grpc.insecure_channel(self.engine, OPTIONS) as channel:
            start: Callable[[bytes], Iterator[bytes]] = channel.unary_stream(
                path_of(self.call.method), request_serializer=bytes, response_deserializer=bytes
            )
            yield from map(unpack, start(message))


@contextmanager
def proxy(call: WireCall, engine: str, out: Path) -> Iterator[Proxy]:
    """A running proxy."""
    found = Proxy(call, engine, out)
    handler = grpc.unary_stream_rpc_method_handler(found.answer, request_deserializer=bytes, response_serializer=bytes)
    server = grpc.server(ThreadPoolExecutor(1), options=OPTIONS)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {call.method: handler}),))
    found.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield found
    finally:
        server.stop(None).wait()
