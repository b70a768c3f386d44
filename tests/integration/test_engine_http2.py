"""The bytes that kamu and its engine exchanged over TCP: our server understands the one, our client the other."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from kamu_assets.engines.engine import EngineContractError, TransformRequest, TransformResponse, TransformSuccess
from kamu_assets.engines.grpc.client import RemoteConfig, RemoteEngine
from kamu_assets.engines.grpc.methods import unpack
from kamu_assets.engines.grpc.paths import Mount, PathMapping
from kamu_assets.engines.grpc.requests import transform_request
from kamu_assets.engines.grpc.server import EngineServer
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.serde.engine_messages import decode_transform_request, decode_transform_response
from tests.support.coordination import InThisProcess
from tests.support.engine_wire import SCHEMA
from tests.support.reference import reference_folder
from tests.support.scripted_engine import Call, ScriptedEngine

RECORDED = json.loads((reference_folder() / "odf/recorded/engine-contract.json").read_text())["rawHttp2"]
FROM_KAMU = bytes.fromhex(RECORDED["clientToServer"]["hex"])
FROM_ENGINE = bytes.fromhex(RECORDED["serverToClient"]["hex"])
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, END_STREAM = 0, 1
SECONDS = 30.0


def frames(stream: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Kind, flags, stream and payload of each whole HTTP/2 frame (RFC 9113, section 4.1)."""
    position = 0
    while position + 9 <= len(stream):
        length = int.from_bytes(stream[position : position + 3])
        kind, flags, number = struct.unpack_from(">BBI", stream, position + 3)
        end = position + 9 + length
        if end > len(stream):
            return
        yield kind, flags, number, stream[position + 9 : end]
        position = end


def grpc_message(stream: bytes) -> bytes:
    """The first message of a call."""
    content = b"".join(payload for kind, _, _, payload in frames(stream) if kind == DATA)
    (length,) = struct.unpack_from(">xI", content)
    return unpack(content[5 : 5 + length])


def is_over(stream: bytes) -> bool:
    return any(flags & END_STREAM and number == 1 for kind, flags, number, _ in frames(stream) if kind in (DATA, 1))


def received(connection: socket.socket) -> bytes:
    """Everything up to the end of the answer."""
    connection.settimeout(SECONDS)
    stream = b""
    while not is_over(stream):
        chunk = connection.recv(1 << 16)
        assert chunk, "the server hung up"
        stream += chunk
    return stream


def a_mapping(home: Path) -> PathMapping:
    for name in ("in", "out"):
        (home / name).mkdir()
    return PathMapping((Mount(str(home / "in"), "/opt/engine/in"), Mount(str(home / "out"), "/opt/engine/out")))


def a_request(paths: PathMapping) -> TransformRequest:
    message = decode_transform_request(grpc_message(FROM_KAMU.removeprefix(PREFACE)))
    for one in message.query_inputs:
        pq.write_table(SCHEMA.empty_table(), paths.to_node(one.schema_file))
    return transform_request(message, paths)


def test_our_server_answers_the_bytes_of_kamu(tmp_path: Path) -> None:
    paths = a_mapping(tmp_path)
    expected = a_request(paths)

    def answer(_: TransformRequest, __: Call) -> TransformResponse:
        return TransformSuccess(OffsetInterval(start=9, end=9), None)

    engine = ScriptedEngine(answer)
    with EngineServer(engine, port=0, paths=paths) as server:
        # Kamu first looks whether anybody listens.
        socket.create_connection(("127.0.0.1", server.port)).close()
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(FROM_KAMU)
            stream = received(connection)

    assert engine.requests == [expected]
    response: Any = decode_transform_response(grpc_message(stream))
    assert response.new_offset_interval == OffsetInterval(start=9, end=9)


@contextmanager
def playing(stream: bytes) -> Iterator[str]:
    """A server that says these bytes: its settings at once, the rest when it has read a request."""
    settings = 9 + int.from_bytes(stream[:3])

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(SECONDS)
            connection.sendall(stream[:settings])
            request = b""
            while not is_over(request.removeprefix(PREFACE)):
                chunk = connection.recv(1 << 16)
                if not chunk:
                    return
                request += chunk
            connection.sendall(stream[settings:])
            # Until the client has heard enough.
            while connection.recv(1 << 16):
                continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(SECONDS)


def test_our_client_understands_the_bytes_of_the_engine(tmp_path: Path) -> None:
    paths = a_mapping(tmp_path)
    request = a_request(paths)

    with playing(FROM_ENGINE) as address:
        engine = RemoteEngine(RemoteConfig(address, SECONDS, paths, exchange=tmp_path / "in"), InThisProcess())
        # It reads of one new record, and misses the file that the real engine wrote.
        with pytest.raises(EngineContractError, match="wrote no data file"):
            engine.transform(request)
