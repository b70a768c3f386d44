"""Bytes as text that names its own base (multibase): the three bases ODF uses."""

import base64
import re

from kamu_assets.errors import InvalidError

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUES = {char: value for value, char in enumerate(_BASE58)}
_BASE64_URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_BASE16 = re.compile(r"(?:[0-9a-fA-F]{2})*", re.ASCII)

# Nothing in ODF is longer than a key or a signature; base58 costs quadratic time.
_MAX_LENGTH = 1024


class MultibaseError(InvalidError):
    """The text is not in a known base, or has characters that its base has not."""


def encode_base16(data: bytes) -> str:
    return f"f{data.hex()}"


def encode_base64url(data: bytes) -> str:
    return f"u{base64.urlsafe_b64encode(data).decode('ascii').rstrip('=')}"


def encode_base58btc(data: bytes) -> str:
    number = int.from_bytes(data, "big")
    digits = ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    zeros = len(data) - len(data.lstrip(b"\0"))
    return f"z{_BASE58[0] * zeros}{digits}"


def decode(text: str) -> bytes:
    """The bytes of a multibase text; the first character says which base."""
    if not text:
        raise MultibaseError("an empty string is not multibase")
    if len(text) > _MAX_LENGTH:
        raise MultibaseError(f"multibase of {len(text)} characters is longer than anything in ODF")
    prefix, body = text[0], text[1:]
    if prefix in "fF":
        return _decode_base16(body)
    if prefix == "u":
        return _decode_base64url(body)
    if prefix == "z":
        return _decode_base58btc(body)
    raise MultibaseError(f"multibase prefix {prefix!r} is not supported, use f, u or z")


def _decode_base16(body: str) -> bytes:
    if not _BASE16.fullmatch(body):
        raise MultibaseError(f"{body!r} is not pairs of hexadecimal digits")
    return bytes.fromhex(body)


def _decode_base64url(body: str) -> bytes:
    # A last group of one character holds less than a byte.
    if not _BASE64_URL.fullmatch(body) or len(body) % 4 == 1:
        raise MultibaseError(f"{body!r} is not base64url without padding")
    data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    if encode_base64url(data)[1:] != body:
        raise MultibaseError(f"{body!r} has bits left over at the end")
    return data


def _decode_base58btc(body: str) -> bytes:
    number = 0
    for char in body:
        if char not in _BASE58_VALUES:
            raise MultibaseError(f"{char!r} is not a base58btc digit")
        number = number * 58 + _BASE58_VALUES[char]
    zeros = len(body) - len(body.lstrip(_BASE58[0]))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
