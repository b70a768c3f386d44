"""Hashes that name their algorithm (multihash), and the codes of the things ODF names (multicodec)."""

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Self

from kamu_assets.errors import InvalidError
from kamu_assets.odf import multibase
from kamu_assets.odf.typedef import TextValue

MAX_DIGEST_LENGTH = 32
_MAX_VARINT_LENGTH = 9
_MORE = 0x80
_SHA3_256_PREFIX = bytes([0x16, MAX_DIGEST_LENGTH])
_SHA3_256_LENGTH = 2 + MAX_DIGEST_LENGTH


class MultiformatError(InvalidError):
    """The bytes are not a multihash or name a code ODF does not know."""


class Multicodec(IntEnum):
    """Codes of algorithms and documents."""

    CIDV1 = 0x01
    SHA2_256 = 0x12
    SHA3_256 = 0x16
    ED25519_PUB = 0xED
    MULTIDID = 0x0D1D
    ARROW0_SHA3_256 = 0x300016
    ODF_METADATA_BLOCK = 0x400000
    ODF_DATASET_SNAPSHOT = 0x400001

    @property
    def codec_name(self) -> str:
        """The name in the multicodec table, e.g. `sha3-256`."""
        return _CODEC_NAMES.get(self) or self.name.lower().replace("_", "-")

    @classmethod
    def by_name(cls, name: str) -> Self:
        """The codec of a multicodec name."""
        for codec in cls:
            if codec.codec_name == name:
                return codec
        raise MultiformatError(f"unknown multicodec {name!r}")

    def to_varint(self) -> bytes:
        """The code as bytes."""
        return encode_varint(self)


_CODEC_NAMES = {Multicodec.ARROW0_SHA3_256: "arrow0-sha3-256"}
# Multidid has a code but kamu cannot read it.
_READABLE = {int(codec): codec for codec in Multicodec if codec is not Multicodec.MULTIDID}


def encode_varint(number: int) -> bytes:
    """Seven bits a byte, lowest first (unsigned varint)."""
    out = bytearray()
    while number >= _MORE:
        out.append(number & 0x7F | _MORE)
        number >>= 7
    out.append(number)
    return bytes(out)


def decode_varint(data: bytes) -> tuple[int, bytes]:
    """The number at the start of the bytes, and the rest."""
    number = 0
    for index, byte in enumerate(data[:_MAX_VARINT_LENGTH]):
        number |= (byte & 0x7F) << (7 * index)
        if byte < _MORE:
            if byte == 0 and index > 0:
                break
            return number, data[index + 1 :]
    raise MultiformatError(f"{data[:_MAX_VARINT_LENGTH].hex()} does not start with a minimal varint")


def decode_codec(data: bytes) -> tuple[Multicodec, bytes]:
    """The codec at the start of the bytes, and the rest."""
    code, rest = decode_varint(data)
    if code not in _READABLE:
        raise MultiformatError(f"unknown multicodec {code:#x}")
    return _READABLE[code], rest


@cache
def _prefix(codec: Multicodec, length: int) -> bytes:
    """What comes before the digest; few codecs, few lengths."""
    return codec.to_varint() + encode_varint(length)


@dataclass(frozen=True, slots=True)
class Multihash(TextValue):
    """A digest and the algorithm that made it."""

    codec: Multicodec
    digest: bytes

    def __post_init__(self) -> None:
        if len(self.digest) > MAX_DIGEST_LENGTH:
            raise MultiformatError(f"a digest has at most {MAX_DIGEST_LENGTH} bytes, not {len(self.digest)}")

    @classmethod
    def sha3_256(cls, data: bytes) -> Self:
        """Hash the bytes: the hash of blocks and files."""
        return cls(Multicodec.SHA3_256, hashlib.sha3_256(data).digest())

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read multibase text, whatever its base."""
        return cls.from_bytes(multibase.decode(text))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read `code, length, digest`; nothing may be left over."""
        # By far the most common: everything else takes the long way.
        if data[:2] == _SHA3_256_PREFIX and len(data) == _SHA3_256_LENGTH:
            return cls(Multicodec.SHA3_256, bytes(data[2:]))
        codec, rest = decode_codec(bytes(data))
        length, digest = decode_varint(rest)
        if length != len(digest):
            raise MultiformatError(f"a digest of {length} bytes is announced, {len(digest)} are there")
        return cls(codec, digest)

    def to_bytes(self) -> bytes:
        """The binary form."""
        return _prefix(self.codec, len(self.digest)) + self.digest

    @property
    def short(self) -> str:
        """The last eight characters, for people."""
        return str(self)[-8:]

    def __str__(self) -> str:
        return multibase.encode_base16(self.to_bytes())
