"""Bodies while they come in, without a network."""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message

from kamu_gateway.edge.bodies import Intake
from kamu_gateway.edge.errors import MessageAnswerError
from kamu_gateway.edge.unpacking import Gunzip, unpacking

DISCONNECT: Message = {"type": "http.disconnect"}


def an_intake(folder: Path, *, in_memory: int = 10, budget: int = 100, max_body: int = 1000) -> Intake:
    return Intake(folder=folder, max_body=max_body, in_memory=in_memory, budget=budget, silence_seconds=0.05)


def a_request(pieces: Sequence[bytes], *, end: Message | None = None, length: str | None = None) -> Request:
    """A request whose body comes in these pieces, then `end`; a client that stays silent without one."""
    messages: list[Message] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages += [] if end is None else [end]

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    headers = [] if length is None else [(b"content-length", length.encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


END: Message = {"type": "http.request", "body": b"", "more_body": False}


def taken(intake: Intake, request: Request) -> tuple[bool, bytes]:
    """Whether the body was spooled, and its bytes."""

    async def take() -> tuple[bool, bytes]:
        async with intake.take(request) as content:
            return isinstance(content, Path), content.read_bytes() if isinstance(content, Path) else content

    return asyncio.run(take())


@pytest.mark.parametrize(
    ("pieces", "spooled"),
    [([], False), ([b"12345", b"67890"], False), ([b"12345", b"678901"], True), ([b"x" * 99, b"y" * 99], True)],
)
def test_a_body_is_spooled_when_it_grows_too_large(tmp_path: Path, pieces: list[bytes], *, spooled: bool) -> None:
    intake = an_intake(tmp_path)

    assert taken(intake, a_request(pieces, end=END)) == (spooled, b"".join(pieces))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (a_request([], length="1001"), 413),
        (a_request([b"x" * 600, b"x" * 600]), 413),
        (a_request([b"x" * 20]), 408),
        (a_request([b"x"]), 408),
    ],
    ids=["declared", "too long", "silent after spooling", "silent in memory"],
)
def test_bad_bodies_are_given_up(tmp_path: Path, request_: Request, status: int) -> None:
    with pytest.raises(MessageAnswerError) as refusal:
        taken(an_intake(tmp_path), request_)

    assert refusal.value.status == status
    assert list(tmp_path.iterdir()) == []


def test_a_client_that_leaves_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ClientDisconnect):
        taken(an_intake(tmp_path), a_request([b"x" * 50], end=DISCONNECT))

    assert list(tmp_path.iterdir()) == []


def test_memory_is_given_back_whatever_happens(tmp_path: Path) -> None:
    intake = an_intake(tmp_path, in_memory=80, budget=80)
    for request in (a_request([b"x" * 80], end=DISCONNECT), a_request([b"x" * 80]), a_request([b"x" * 80, b"y"])):
        with pytest.raises((ClientDisconnect, MessageAnswerError)):
            taken(intake, request)

    assert taken(intake, a_request([b"x" * 80], end=END)) == (False, b"x" * 80)


def test_bodies_beyond_the_budget_have_to_come_later(tmp_path: Path) -> None:
    intake = an_intake(tmp_path, in_memory=80, budget=100)

    async def two() -> None:
        async with intake.take(a_request([b"x" * 80], end=END)):
            with pytest.raises(MessageAnswerError) as refusal:
                async with intake.take(a_request([b"x" * 30], end=END)):
                    pass
            assert refusal.value.status == 429
            assert refusal.value.headers == {"retry-after": "1"}

    asyncio.run(two())


def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(MessageAnswerError, match="cannot be kept on disk") as refusal:
        taken(an_intake(tmp_path / "gone"), a_request([b"x" * 50], end=END))

    assert refusal.value.status == 503


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
def test_a_packed_body_is_the_same_however_it_is_cut(tmp_path: Path, size: int) -> None:
    content = random.Random(8).randbytes(20_000) + bytes(2 << 20)
    packed = gzip.compress(content[:30_000]) + gzip.compress(b"") + gzip.compress(content[30_000:])
    pieces = [packed[start : start + size] for start in range(0, len(packed), size)]
    intake = an_intake(tmp_path, in_memory=4 << 20, budget=4 << 20, max_body=4 << 20)

    async def take() -> bytes | Path:
        async with intake.take(a_request(pieces, end=END), packed=unpacking("gzip")) as found:
            return found

    assert asyncio.run(take()) == content


def test_pieces_of_a_bomb_are_small() -> None:
    bomb = gzip.compress(bytes(30 << 20))

    sizes = [len(piece) for piece in Gunzip().pieces(bomb)]

    assert sum(sizes) == 30 << 20
    assert max(sizes) <= 256 << 10
