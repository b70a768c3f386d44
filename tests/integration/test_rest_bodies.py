"""Bodies of pushes: large, endless, cut off, slow, too many at once."""

from __future__ import annotations

import contextlib
import gzip
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.manifests import pushed_root, reading
from tests.support.served_node import ServedNode, serving
from tests.support.waiting import wait_until

ROW = b'{"station":"s","level":1}\n'
# Without the time of day: every process that collects tests has to name them alike.
PACKED = gzip.compress(ROW, mtime=0)
MAX_BODY = 65_536
GROUP = 16_384
QUEUE = 24_576


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    limits = {"max_body": MAX_BODY, "group_limit": GROUP, "queue_limit": QUEUE}
    with serving(tmp_path_factory.mktemp("node"), ingest=limits, query={"time_limit_seconds": 3600}) as node:
        node.create(pushed_root("alice/log", reading("station STRING", "level BIGINT")))
        yield node


@contextmanager
def half_a_push(served: ServedNode, *headers: str) -> Iterator[socket.socket]:
    """A connection on which the head of a push was sent."""
    with socket.create_connection(served.address, timeout=20) as connection:
        lines = (
            "POST /alice/log/ingest HTTP/1.1",
            "host: node",
            f"authorization: Bearer {served.tokens['alice']}",
            "content-type: application/x-ndjson",
            *headers,
        )
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        yield connection


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def status_of(connection: socket.socket) -> int:
    return int(connection.recv(4096).split()[1])


def uploads(served: ServedNode) -> list[Path]:
    return [path for path in served.node.settings.uploads_path.rglob("*") if path.is_file()]


def held(served: ServedNode) -> int:
    """What bodies under way have in memory."""
    return int(served.app.state.intake._held)


def is_asked(served: ServedNode) -> bool:
    """Whether a query is running."""
    return bool(served.node.query_pool._places._taken)


def records(served: ServedNode) -> int:
    answer = served.request("GET", "/query", params={"query": 'select count(*) as n from "alice/log"'})
    return int(answer.json()["output"]["data"][0]["n"])


def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(served: ServedNode) -> None:
    with half_a_push(served, f"content-length: {MAX_BODY + 1}") as connection:
        answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'{"message":"Content too large: the limit is 65536 bytes (setting ingest.max_body)"}' in answer


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "identity, gzip"])
def test_a_packed_body_is_unpacked(served: ServedNode, encoding: str) -> None:
    before = records(served)

    answer = served.push("alice/log", gzip.compress(ROW) + gzip.compress(ROW * 2), **{"content-encoding": encoding})

    assert answer.status_code == 200, answer.text
    assert records(served) == before + 3


def test_encodings_may_stand_on_lines_of_their_own(served: ServedNode) -> None:
    before = records(served)
    lines = [("content-encoding", "identity"), ("content-encoding", "gzip"), ("content-type", "application/x-ndjson")]

    answer = served.request("POST", "/alice/log/ingest", content=gzip.compress(ROW), headers=lines)

    assert answer.status_code == 200, answer.text
    assert records(served) == before + 1


@pytest.mark.parametrize("encoding", ["deflate", "br", "zstd", "gzip, gzip", "gzip, br"])
def test_an_encoding_that_is_not_known_is_refused_unread_with_those_that_are(served: ServedNode, encoding: str) -> None:
    before = served.head("alice/log")

    refused = served.push("alice/log", ROW, **{"content-encoding": encoding})

    assert refused.status_code == 415
    assert refused.json() == {
        "message": f"Unsupported content encoding {encoding!r}; known are gzip, identity, each once"
    }
    assert refused.headers["accept-encoding"] == "gzip, identity"
    assert served.head("alice/log") == before
    assert served.push("alice/log", ROW, **{"content-encoding": "identity"}).status_code == 200


def test_a_bomb_is_refused_when_it_reaches_the_limit(served: ServedNode) -> None:
    before = served.head("alice/log")
    bomb = gzip.compress(bytes(60 << 20))
    assert len(bomb) < MAX_BODY

    refused = served.push("alice/log", bomb, **{"content-encoding": "gzip"})

    assert refused.status_code == 413
    assert served.head("alice/log") == before
    wait_until(lambda: not uploads(served))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (ROW, "damaged"),
        (PACKED[:-3], "it is cut off"),
        (PACKED + b"\0" * 20, "damaged"),
        (PACKED[:-5] + b"\0" + PACKED[-4:], "damaged"),
        (b"", "it is cut off"),
    ],
)
def test_a_body_that_is_not_packed_as_it_says_is_refused(served: ServedNode, body: bytes, reason: str) -> None:
    before = served.head("alice/log")

    refused = served.push("alice/log", body, **{"content-encoding": "gzip"})

    assert refused.status_code == 400
    assert refused.json() == {"message": f"The body is not what Content-Encoding: gzip says: {reason}"}
    assert served.head("alice/log") == before


def test_packed_data_that_does_not_say_so_is_no_data(served: ServedNode) -> None:
    before = served.head("alice/log")

    refused = served.push("alice/log", gzip.compress(ROW))

    assert (refused.status_code, served.head("alice/log")) == (400, before)
    assert "line 1" in refused.text


def test_a_header_of_a_megabyte_is_refused(served: ServedNode) -> None:
    before = served.head("alice/log")

    with contextlib.suppress(ConnectionError), half_a_push(served, "odf-event-time: " + "1" * (1 << 20)) as connection:
        # The refusal is lost where the system answers our unread bytes with a reset.
        assert connection.recv(4096).split()[1:2] in ([b"431"], [])

    assert served.head("alice/log") == before
    assert served.push("alice/log", ROW).status_code == 200


def test_an_endless_body_is_refused_when_it_reaches_the_limit(served: ServedNode) -> None:
    before = served.head("alice/log")

    with half_a_push(served, "transfer-encoding: chunked") as connection:
        for _ in range(MAX_BODY // 4096 + 1):
            connection.sendall(chunk(b"x" * 4096))

        assert status_of(connection) == 413

    wait_until(lambda: not uploads(served))
    assert served.head("alice/log") == before


def test_a_large_body_is_spooled_and_committed(served: ServedNode) -> None:
    rows = GROUP // len(ROW) * 2
    before = records(served)

    assert served.push("alice/log", ROW * rows).status_code == 200

    assert records(served) == before + rows
    wait_until(lambda: not uploads(served))


def test_a_body_in_chunks_of_any_size_is_read_as_one(served: ServedNode) -> None:
    before = records(served)

    answer = served.push("alice/log", iter([ROW[:5], ROW[5:] + ROW, b"", ROW]))

    assert answer.status_code == 200
    assert records(served) == before + 3


@pytest.mark.parametrize("sent", [ROW, ROW * 1000], ids=["in memory", "spooled"])
@pytest.mark.parametrize("framing", ["content-length: 60000", "transfer-encoding: chunked"])
def test_an_aborted_push_changes_nothing(served: ServedNode, sent: bytes, framing: str) -> None:
    before = served.head("alice/log")

    with half_a_push(served, framing) as connection:
        connection.sendall(chunk(sent) if "chunked" in framing else sent)
        wait_until(lambda: uploads(served) or held(served) >= len(sent))

    wait_until(lambda: not uploads(served) and not held(served))
    assert served.head("alice/log") == before
    assert served.push("alice/log", ROW).status_code == 200


def test_broken_chunks_are_refused(served: ServedNode) -> None:
    before = served.head("alice/log")

    with half_a_push(served, "transfer-encoding: chunked") as connection:
        connection.sendall(chunk(ROW) + b"not a size\r\n")

        assert status_of(connection) == 400

    assert served.head("alice/log") == before


def test_a_slow_push_keeps_nobody_waiting(served: ServedNode) -> None:
    before = records(served)

    with half_a_push(served, f"content-length: {len(ROW)}") as connection:
        for byte in ROW[:-1]:
            connection.sendall(bytes([byte]))
        assert served.push("alice/log", ROW).status_code == 200
        connection.sendall(ROW[-1:])

        assert status_of(connection) == 200

    assert records(served) == before + 2


def test_bodies_beyond_the_queue_are_told_to_come_later(served: ServedNode) -> None:
    with half_a_push(served, f"content-length: {GROUP}") as connection:
        connection.sendall(b" " * (GROUP - 100))
        wait_until(lambda: held(served) >= GROUP - 100)

        refused = served.push("alice/log", ROW * (GROUP // len(ROW)))

        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert "ingest.queue_limit" in refused.json()["message"]
    wait_until(lambda: not held(served))
    assert served.push("alice/log", ROW * (GROUP // len(ROW))).status_code == 200


def test_concurrent_pushes_are_all_there_when_they_are_acknowledged(served: ServedNode) -> None:
    before = records(served)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: served.push("alice/log", ROW * 2).status_code, range(60)))

    assert answers == [200] * 60
    assert records(served) == before + 120


def test_a_query_whose_client_left_is_stopped(served: ServedNode) -> None:
    endless = "select count(*) from generate_series(1, 100000000000) a, generate_series(1, 1000000) b"
    body = b'{"query":"%b"}' % endless.encode()
    head = f"POST /query HTTP/1.1\r\nhost: n\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(served.address) as connection:
        connection.sendall(head.encode() + body)
        wait_until(lambda: is_asked(served))

    # Long before the time limit of a query.
    wait_until(lambda: not is_asked(served))
