"""Bodies that say how they are packed (RFC 9110, 8.4): gzip alone is undone here (RFC 1952)."""

import zlib
from collections.abc import Iterator
from typing import Protocol

from kamu_gateway.edge.errors import MessageAnswerError

ENCODINGS = ("gzip", "identity")
_GZIP = {"gzip", "x-gzip"}
_PIECE = 256 << 10


class UnknownEncodingError(MessageAnswerError):
    """Nobody here undoes this; the answer tells what is known (RFC 9110, 15.5.16)."""

    def __init__(self, said: str) -> None:
        known = ", ".join(ENCODINGS)
        super().__init__(415, f"Unsupported content encoding {said!r}; known are {known}, each once")
        self.headers = {"accept-encoding": known}


class Unpacking(Protocol):
    """From pieces of a body as it is sent to pieces of its content."""

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """What a chunk adds."""
        ...

    def end(self) -> None:
        """Raise unless the body may end here."""
        ...


class Unpacked:
    """The body is its content."""

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """The chunk."""
        yield chunk

    def end(self) -> None:
        """Anywhere."""


class Gunzip:
    """Members one after another, in pieces that are small however little it takes to say them."""

    def __init__(self) -> None:
        self._member = _new_member()
        self._begun = False

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """What these bytes of members hold."""
        rest = chunk
        while rest:
            if self._member.eof:
                self._member, self._begun = _new_member(), False
            try:
                piece = self._member.decompress(rest, _PIECE)
            except zlib.error as error:
                raise MessageAnswerError(400, "The body is not what Content-Encoding: gzip says: damaged") from error
            self._begun = True
            rest = self._member.unused_data or self._member.unconsumed_tail
            if piece:
                yield piece
        yield from self._held_back()

    def _held_back(self) -> Iterator[bytes]:
        """All was taken, but not all of it was given yet."""
        while not self._member.eof and (piece := self._member.decompress(b"", _PIECE)):
            yield piece

    def end(self) -> None:
        """At the end of a member, of which there is at least one."""
        if not (self._begun and self._member.eof):
            raise MessageAnswerError(400, "The body is not what Content-Encoding: gzip says: it is cut off")


def unpacking(content_encoding: str) -> Unpacking:
    """How to undo what the header says; 415 for what is not known here."""
    said = [part.strip().lower() for part in content_encoding.split(",")]
    packed = [part for part in said if part not in ("", "identity")]
    if not packed:
        return Unpacked()
    if len(packed) == 1 and packed[0] in _GZIP:
        return Gunzip()
    raise UnknownEncodingError(content_encoding)


def _new_member() -> "zlib._Decompress":
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
