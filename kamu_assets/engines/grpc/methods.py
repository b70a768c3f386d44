"""The service `engine.Engine`: a message is one field of bytes that hold a FlatBuffer, answers are a stream."""

from typing import Final

from google.protobuf.wrappers_pb2 import BytesValue

SERVICE: Final = "engine.Engine"
EXECUTE_RAW_QUERY: Final = "ExecuteRawQuery"
EXECUTE_TRANSFORM: Final = "ExecuteTransform"
PORT: Final = 2884
# Requests name every new slice of every input.
OPTIONS: Final = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))


def pack(content: bytes) -> bytes:
    """`message { bytes flatbuffer = 1; }` is on the wire what Protocol Buffers call a wrapped value."""
    return BytesValue(value=content).SerializeToString()


def unpack(message: bytes) -> bytes:
    """The content of such a message; a `DecodeError` when it is none."""
    return BytesValue.FromString(message).value


def path_of(method: str) -> str:
    """How HTTP/2 calls a method."""
    return f"/{SERVICE}/{method}"
