"""Thousands of small pushes at once: each is committed once, and the memory of the process stays what it was."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.support.api_process import Api, home_with_log, numbers, serving

# All of them are sent before the first answer is read.
PUSHES_PER_CONNECTION = 4
MIB = 1 << 20
SLACK = 512 * MIB


@pytest.mark.timeout(900)
@pytest.mark.parametrize("pushes", [400, pytest.param(10_000, marks=[pytest.mark.faults])])
def test_many_small_pushes_wait_for_each_other(tmp_path: Path, pushes: int) -> None:
    with serving(home_with_log(tmp_path)) as api:
        assert api.push(b'{"n":-1}') == 200
        before = api.resident_bytes()

        answers = asyncio.run(crowd(api, pushes))

        assert answers == {200: pushes}
        assert api.resident_bytes() - before < SLACK
        assert numbers(api) == list(range(-1, pushes))


async def crowd(api: Api, pushes: int) -> Counter[int]:
    starts = range(0, pushes, PUSHES_PER_CONNECTION)
    connections = [await asyncio.open_connection("127.0.0.1", api.port) for _ in starts]
    for start, (_, writer) in zip(starts, connections, strict=True):
        writer.writelines(request(api, number) for number in range(start, start + PUSHES_PER_CONNECTION))
    answers = Counter([await status(reader) for reader, _ in connections for _ in range(PUSHES_PER_CONNECTION)])
    for _, writer in connections:
        writer.close()
    return answers


def request(api: Api, number: int) -> bytes:
    body = b'{"n":%d}' % number
    head = (
        "POST /kamu/log/ingest HTTP/1.1",
        "host: node",
        f"authorization: Bearer {api.token}",
        "content-type: application/x-ndjson",
        f"content-length: {len(body)}",
    )
    return "\r\n".join((*head, "", "")).encode() + body


async def status(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    _, _, length = head.partition("content-length:")
    await reader.readexactly(int(length.split()[0]) if length else 0)
    return int(head.split()[1])
