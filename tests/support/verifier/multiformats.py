"""Multihash and multibase, only as far as a dataset directory shows them (multiformats.io)."""

import hashlib

SHA3_256 = 0x16
ARROW0_SHA3_256 = 0x300016


def to_varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def multihash(code: int, digest: bytes) -> bytes:
    return to_varint(code) + to_varint(len(digest)) + digest


def sha3(data: bytes) -> bytes:
    return multihash(SHA3_256, hashlib.sha3_256(data).digest())


def text(data: bytes) -> str:
    """The canonical text form: multibase base16, lower case."""
    return "f" + data.hex()


def from_text(name: str) -> bytes:
    if not name.startswith("f") or name != name.lower():
        msg = f"`{name}` is not a hash in lower-case base16"
        raise ValueError(msg)
    return bytes.fromhex(name[1:])
