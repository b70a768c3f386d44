"""What becomes of the outbox when Redis is lost, late, full of other things or somebody else's."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import redis
import structlog
from sqlalchemy import text

from kamu_assets.clock import SystemClock
from kamu_assets.database import outbox_redis, outbox_relay
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import WAKEUP, Outbox
from kamu_assets.database.outbox_redis import RedisTransport
from kamu_assets.database.outbox_relay import LOOK_SECONDS, STANDBY_SECONDS, Relay
from kamu_assets.database.outbox_store import OutboxStore, StoredMessage
from kamu_assets.database.outbox_stream import KEY_PREFIX, Stream, StreamUnavailableError, entry_of
from kamu_assets.database.wakeups import Wakeups
from kamu_assets.errors import InvalidError
from tests.contracts.test_outbox import TYPES, Collector, Counted, numbers, post, read_in_batches
from tests.support.prompt_redis import PromptRedis, prompt_redis
from tests.support.redis_server import PASSWORD, RedisServer, redis_server
from tests.support.waiting import wait_until

# Handles one message, says so, and never comes to the end of it.
VICTIM = """
import sys, time
from pathlib import Path
from tests.contracts.test_outbox_redis import an_outbox
def handle(message):
    print(message.number, flush=True)
    time.sleep(300)
with an_outbox(*sys.argv[1:]) as outbox:
    outbox.deliver("reader", handle)
"""
# Relays until it is killed.
LEADER = """
import sys, time
from tests.contracts.test_outbox_redis import an_outbox
with an_outbox(*sys.argv[1:]) as outbox, outbox.running():
    time.sleep(300)
"""


@contextlib.contextmanager
def an_outbox(database_url: str, url: str, folder: str) -> Iterator[Outbox]:
    """As a process of its own has it."""
    database, stream = Database.open(database_url), Stream(url)
    transport = RedisTransport(database=database, stream=stream, wakeups=Wakeups(Path(folder)))
    outbox = Outbox(database, clock=SystemClock(), types=TYPES, transport=transport)
    try:
        yield outbox
    finally:
        outbox.close()
        database.close()


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One that tests may kill, and start again."""
    with redis_server() as server:
        yield server


@pytest.fixture
def wakeups(tmp_path: Path) -> Wakeups:
    return Wakeups(tmp_path / "run")


@pytest.fixture
def transport(
    server: RedisServer, database: Database, wakeups: Wakeups, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PromptRedis]:
    monkeypatch.setattr(outbox_redis, "LEFT_ALONE_SECONDS", 0.0)
    monkeypatch.setattr(outbox_relay, "CHECK_SECONDS", 0.0)
    with prompt_redis(server.url, database, wakeups, max_entries=100) as transport:
        yield transport


@pytest.fixture
def outbox(database: Database, transport: PromptRedis) -> Outbox:
    return Outbox(database, clock=SystemClock(), types=TYPES, transport=transport)


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with server.client() as client:
        yield client


def key(database: Database) -> str:
    """Of the stream of now."""
    with database.reading() as tx:
        return f"{KEY_PREFIX}{OutboxStore().stream(tx)}"


def change_table(database: Database) -> None:
    """Give each message in the table the negative of its number: what is read with its own was in the stream."""
    with database.transaction() as tx:
        tx.execute(text("""UPDATE outbox_messages SET body = replace(body, '"number":', '"number":-')"""))


def advance(database: Database, outbox: Outbox, count: int, consumer: str = "reader") -> None:
    with database.transaction() as tx:
        outbox.advance(tx, consumer, outbox.read(consumer, count)[-1].id)


def test_messages_come_from_the_stream(database: Database, outbox: Outbox) -> None:
    post(database, outbox, 1, 2, 3)
    advance(database, outbox, 1)
    change_table(database)

    assert numbers(outbox) == [2, 3]
    assert numbers(outbox, limit=1) == [2]


def test_a_redis_that_was_killed_has_lost_nothing(
    database: Database, outbox: Outbox, transport: PromptRedis, server: RedisServer
) -> None:
    post(database, outbox, 1, 2, 3)
    advance(database, outbox, 1)
    server.kill()
    try:
        post(database, outbox, 4)

        assert numbers(outbox) == [2, 3, 4]
    finally:
        server.start()

    assert numbers(outbox) == [2, 3, 4]
    post(database, outbox, 5)
    change_table(database)
    # The relay has passed on again what the consumer has not seen.
    assert numbers(outbox) == [2, 3, 4, 5]


def test_a_redis_that_was_emptied_is_filled_again(
    database: Database, outbox: Outbox, transport: PromptRedis, client: redis.Redis
) -> None:
    post(database, outbox, 1, 2, 3)
    advance(database, outbox, 1)
    client.flushall()

    assert numbers(outbox) == [2, 3]
    transport.step()
    change_table(database)

    assert numbers(outbox) == [2, 3]


def test_what_is_missing_in_the_middle_is_read_from_the_table(
    database: Database, outbox: Outbox, client: redis.Redis
) -> None:
    post(database, outbox, 1, 2, 3, 4)
    advance(database, outbox, 1)
    with database.reading() as tx:
        gone = OutboxStore().after(tx, 0, 10)[2].id
    assert client.xdel(key(database), entry_of(gone)) == 1

    assert numbers(outbox) == [2]
    advance(database, outbox, 1)
    assert numbers(outbox) == [3, 4]


def test_a_redis_that_does_not_answer_keeps_nobody(database: Database, outbox: Outbox, server: RedisServer) -> None:
    post(database, outbox, 1, 2)
    advance(database, outbox, 1)

    with server.frozen():
        post(database, outbox, 3)

        assert numbers(outbox) == [2, 3]

    # The stream has what was relayed, the table the rest.
    batches = read_in_batches(database, outbox, "reader", 100)
    assert [message for batch in batches for message in batch] == [Counted(number=2), Counted(number=3)]


def into_the_stream(fields: dict[str, str], entry: str) -> Callable[[redis.Redis, str], object]:
    return lambda client, stream: client.xadd(stream, fields, id=entry)  # type: ignore[arg-type] # its dict is invariant


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (into_the_stream({"hello": "world"}, "*"), "it has no field prev, topic, body"),
        (into_the_stream({"topic": "a", "body": "b"}, "900000-0"), "it has no field prev"),
        (into_the_stream({"prev": "0", "topic": "a", "body": "b"}, "900000-1"), "its number is not that of a message"),
        (into_the_stream({"prev": "x", "topic": "a", "body": "b"}, "900000-0"), "its field prev is not the number"),
        (into_the_stream({"prev": "900000", "topic": "a", "body": "b"}, "900000-0"), "its field prev is not the num"),
        (into_the_stream({"prev": "0", "topic": "a", "body": "\udcff"}, "900000-0"), "it is not text"),
    ],
)
def test_what_others_write_into_the_stream_is_refused(
    database: Database,
    outbox: Outbox,
    server: RedisServer,
    spoil: Callable[[redis.Redis, str], object],
    reason: str,
) -> None:
    post(database, outbox, 1, 2)
    advance(database, outbox, 2)
    spoiled = key(database)
    with redis.Redis.from_url(server.url, encoding_errors="surrogateescape") as client:
        spoil(client, spoiled)

    with structlog.testing.capture_logs() as logs:
        assert numbers(outbox) == []

    (refused,) = [entry for entry in logs if entry["event"] == "outbox_stream_entry_refused"]
    assert refused["key"] == spoiled
    assert refused["reason"].startswith(reason)
    post(database, outbox, 3)
    assert key(database) != spoiled, "the relay goes on where others wrote"
    assert numbers(outbox) == [3]


def test_a_key_that_is_no_stream_is_left(database: Database, outbox: Outbox, client: redis.Redis) -> None:
    post(database, outbox, 1, 2)
    advance(database, outbox, 1)
    taken = key(database)
    client.set(taken, "something else")

    assert numbers(outbox) == [2]
    post(database, outbox, 3)
    post(database, outbox, 4)

    assert numbers(outbox) == [2, 3, 4]


def test_a_stream_has_an_end(database: Database, outbox: Outbox, transport: PromptRedis, client: redis.Redis) -> None:
    for number in range(0, 1000, 50):
        post(database, outbox, *range(number, number + 50))
    slow = Collector()

    # Redis removes blocks of 100.
    assert client.xlen(key(database)) <= 200
    assert 0 < int(str(client.ttl(key(database)))) <= 86_400
    while outbox.deliver("slow", slow, limit=70):
        pass
    assert slow.seen == list(range(1000))


def test_a_redis_that_is_full_keeps_nobody(database: Database, outbox: Outbox, client: redis.Redis) -> None:
    post(database, outbox, 1, 2)
    advance(database, outbox, 1)
    client.config_set("maxmemory", 1)
    try:
        post(database, outbox, 3)
        batches = list(read_in_batches(database, outbox, "another", 100))
    finally:
        client.config_set("maxmemory", 0)

    assert [message for batch in batches for message in batch] == [Counted(number=each) for each in (1, 2, 3)]
    post(database, outbox, 4)
    change_table(database)
    assert numbers(outbox) == [2, 3, 4]


def test_one_relay_leads(
    database: Database, outbox: Outbox, transport: PromptRedis, wakeups: Wakeups, client: redis.Redis
) -> None:
    other = Relay(database=database, stream=transport.stream, wakeups=wakeups)
    post(database, outbox, 1, 2)
    first = key(database)

    assert other.step() == STANDBY_SECONDS
    assert client.xlen(first) == 2

    transport.relay.resign()
    try:
        assert other.step() == LOOK_SECONDS
        assert transport.relay.step() == STANDBY_SECONDS
        assert key(database) != first
        assert (client.exists(first), client.xlen(key(database))) == (0, 2)
    finally:
        other.resign()


def test_a_relay_that_does_not_know_that_it_leads_no_more_does_no_harm(
    database: Database, outbox: Outbox, transport: PromptRedis, wakeups: Wakeups, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Relay(database=database, stream=transport.stream, wakeups=wakeups)
    monkeypatch.setattr(other._leadership, "take", lambda: True)
    seen = Collector()

    for number in range(20):
        post(database, outbox, number)
        # A check that it does not do every time.
        other._checked = float("inf") if number % 3 else 0.0
        with contextlib.suppress(StreamUnavailableError):
            other.step()
        outbox.deliver("reader", seen, limit=1 + number % 2)
    while outbox.deliver("reader", seen):
        pass

    assert seen.seen == list(range(20))


def test_two_nodes_may_share_a_redis(database: Database, outbox: Outbox, wakeups: Wakeups, server: RedisServer) -> None:
    other_database = Database.temporary()
    other_database.migrate()
    with prompt_redis(server.url, other_database, wakeups) as transport:
        other = Outbox(other_database, clock=SystemClock(), types=TYPES, transport=transport)
        post(database, outbox, 1, 2)
        post(other_database, other, 10, 20)
        advance(database, outbox, 1)
        advance(other_database, other, 1)

        assert numbers(outbox) == [2]
        assert numbers(other) == [20]
    other_database.close()


def test_a_process_killed_before_it_acknowledged_has_handled_for_nothing(
    migrated_url: str, database: Database, outbox: Outbox, server: RedisServer, tmp_path: Path
) -> None:
    post(database, outbox, 1, 2)
    command = [sys.executable, "-c", VICTIM, migrated_url, server.url, str(tmp_path / "run")]
    again = Collector()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as victim:
        try:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "1\n"
            assert outbox.deliver("reader", again) == 0, "two processes work for one consumer"
        finally:
            victim.kill()

    wait_until(lambda: outbox.deliver("reader", again))
    assert again.seen == [1, 2]


def test_consumers_of_other_machines_are_woken(
    database: Database, server: RedisServer, migrated_url: str, tmp_path: Path
) -> None:
    """The poster, the leading relay and the consumer share nothing but database and Redis."""
    machines = [str(tmp_path / name) for name in ("a", "b", "c")]
    with contextlib.ExitStack() as stack:
        logs = stack.enter_context(structlog.testing.capture_logs())
        poster, relaying, consuming = (
            stack.enter_context(an_outbox(migrated_url, server.url, machine)) for machine in machines
        )
        stack.enter_context(relaying.running())
        wait_until(lambda: "None" not in key(database))
        stack.enter_context(consuming.running())
        listener = stack.enter_context(Wakeups(Path(machines[2])).listen(WAKEUP))
        # That the watcher has begun is news, too.
        assert listener.wait(60)
        while listener.wait(3):
            pass

        post(database, poster, 1)

        assert listener.wait(60)
        assert numbers(consuming) == [1]
    assert [entry["event"] for entry in logs if entry["log_level"] != "info"] == []


def test_another_relay_leads_when_the_process_of_the_first_was_killed(
    database: Database, server: RedisServer, migrated_url: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", LEADER, migrated_url, server.url, str(tmp_path / "a")]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as leader,
        an_outbox(migrated_url, server.url, str(tmp_path / "b")) as outbox,
    ):
        try:
            wait_until(lambda: "None" not in key(database))
            first = key(database)
            with outbox.running():
                leader.kill()
                post(database, outbox, 1)

                wait_until(lambda: key(database) != first)
                wait_until(lambda: relayed(database, outbox) == 1)
        finally:
            leader.kill()

    assert numbers(outbox) == [1]


def relayed(database: Database, outbox: Outbox) -> int | None:
    with database.reading() as tx:
        return outbox.transport_state(tx).relayed


def test_consumers_are_woken_and_read_the_table_while_there_is_no_redis(
    database: Database, server: RedisServer, migrated_url: str, tmp_path: Path
) -> None:
    folder = str(tmp_path / "run")
    seen: list[int] = []

    def consume(outbox: Outbox, stop: threading.Event) -> None:
        def handle(message: object) -> None:
            assert isinstance(message, Counted)
            seen.append(message.number)

        with Wakeups(Path(folder)).listen(WAKEUP) as listener:
            while not stop.is_set():
                # Only a tap makes it look: it would wait for longer than the test.
                listener.wait(200)
                outbox.deliver("reader", handle)

    stop = threading.Event()
    with an_outbox(migrated_url, server.url, folder) as outbox, outbox.running():
        thread = threading.Thread(target=consume, args=(outbox, stop))
        thread.start()
        try:
            for number in range(9):
                if number == 3:
                    server.kill()
                if number == 6:
                    server.start()
                post(database, outbox, number)
                wait_until(partial(seen.__contains__, number))
        finally:
            stop.set()
            Wakeups(Path(folder)).notify(WAKEUP)
            thread.join()
            with contextlib.suppress(redis.RedisError):
                server.kill()
                server.start()

    assert seen == list(range(9))


def test_how_it_is_can_be_told(database: Database, outbox: Outbox, transport: PromptRedis, server: RedisServer) -> None:
    post(database, outbox, 1, 2)
    with database.reading() as tx:
        well = outbox.transport_state(tx)
        last = outbox.last(tx)
    server.kill()
    try:
        with database.reading() as tx:
            lost = outbox.transport_state(tx)
    finally:
        server.start()

    assert well == ("redis", last, None)
    assert (lost.name, lost.relayed) == ("redis", None)
    assert "Redis unavailable" in str(lost.fault)


def test_a_stream_of_no_messages_has_all_that_were_before_it(
    database: Database, outbox: Outbox, transport: PromptRedis, server: RedisServer
) -> None:
    post(database, outbox, 1, 2)
    outbox.deliver("reader", lambda _: None)
    transport.relay.resign()
    transport.relay.step()

    with server.client() as client:
        assert not client.exists(key(database))
    with database.reading() as tx:
        assert outbox.transport_state(tx) == ("redis", outbox.last(tx), None)


def test_a_wrong_password_is_told_without_the_right_one(database: Database, server: RedisServer) -> None:
    stream = Stream(server.url.replace(PASSWORD, "wr0ng"))
    with contextlib.closing(stream), pytest.raises(StreamUnavailableError) as error:
        stream.keep("any")

    assert "wr0ng" not in str(error.value)
    assert "setting outbox.redis_url" in str(error.value)


@pytest.mark.parametrize("options", ["", "?health_check_interval=10", "?socket_timeout=50&retry_on_timeout=true"])
def test_options_of_the_url_hold(server: RedisServer, options: str) -> None:
    name = uuid.uuid4().hex
    messages = [StoredMessage(number, "topic", "body") for number in (3, 4, 7)]
    with contextlib.closing(Stream(server.url + options)) as stream:
        stream.add(name, messages, prev=0)

        assert stream.wait(name, None, 1) == stream.last(name) == "7-0"
        assert stream.wait(name, "7-0", 0.1) is None
        assert stream.after(name, 0, 10) == messages


@pytest.mark.parametrize("option", ["protocol=3", "decode_responses=true"])
def test_options_that_would_change_answers_are_refused(option: str) -> None:
    name = option.partition("=")[0]
    with pytest.raises(InvalidError, match=rf"outbox\.redis_url: the node itself decides on {name}: leave it out"):
        Stream(f"redis://:s3cr3t@localhost/0?{option}")


@pytest.mark.parametrize("url", ["http://localhost", "redis://localhost:port/0", "redis://h/0?socket_timeout=much"])
def test_urls_that_are_none_are_refused(url: str) -> None:
    with pytest.raises(InvalidError, match=r"outbox\.redis_url: not a URL like redis://"):
        Stream(url)
