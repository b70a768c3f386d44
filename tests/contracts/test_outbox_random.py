"""Whatever happens to Redis, in whatever order: consumers get every message, once, in order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kamu_assets.clock import SystemClock
from kamu_assets.database import outbox_redis, outbox_relay
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.database.outbox_redis import RedisTransport
from kamu_assets.database.outbox_relay import Relay
from kamu_assets.database.outbox_store import OutboxStore
from kamu_assets.database.outbox_stream import KEY_PREFIX, Stream, StreamUnavailableError
from kamu_assets.database.wakeups import Wakeups
from tests.contracts.conftest import opened
from tests.contracts.test_outbox import TYPES, Collector, post
from tests.support.redis_server import RedisServer, redis_server

CONSUMERS = ("one", "two")
STEPS = st.one_of(
    st.tuples(st.just("post"), st.integers(1, 5)),
    st.tuples(st.just("relay"), st.integers(0, 1)),
    st.tuples(st.just("resign"), st.integers(0, 1)),
    st.tuples(st.just("read"), st.integers(0, 1), st.integers(1, 8)),
    st.tuples(st.just("flush")),
    st.tuples(st.just("trim"), st.integers(0, 5)),
    st.tuples(st.just("foreign"), st.integers(1, 30)),
    st.tuples(st.just("prune")),
    st.tuples(st.just("restart")),
)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_redis, "LEFT_ALONE_SECONDS", 0.0)


class Story:
    """Two relays, only one of which should lead, and two consumers."""

    def __init__(self, database: Database, server: RedisServer, wakeups: Wakeups) -> None:
        self.database = database
        self._server = server
        stream = Stream(server.url, max_entries=10)
        transport = RedisTransport(database=database, stream=stream, wakeups=wakeups)
        self._outbox = Outbox(database, clock=SystemClock(), types=TYPES, transport=transport)
        self._relays = [Relay(database=database, stream=stream, wakeups=wakeups, backlog=5) for _ in CONSUMERS]
        self.posted = 0
        self.seen = [Collector() for _ in CONSUMERS]

    def post(self, count: int) -> None:
        post(self.database, self._outbox, *range(self.posted, self.posted + count))
        self.posted += count

    def relay(self, which: int) -> None:
        with contextlib.suppress(StreamUnavailableError):
            self._relays[which].step()

    def resign(self, which: int) -> None:
        self._relays[which].resign()

    def read(self, which: int, limit: int) -> int:
        return self._outbox.deliver(CONSUMERS[which], self.seen[which], limit=limit)

    def flush(self) -> None:
        with self._server.client() as client:
            client.flushall()

    def trim(self, keep: int) -> None:
        with self._server.client() as client:
            client.xtrim(self._key(), maxlen=keep, approximate=False)

    def foreign(self, after: int) -> None:
        """Somebody adds what is no message, under a number that may be one of ours."""
        with self._server.client() as client, contextlib.suppress(redis.RedisError):
            client.xadd(self._key(), {"hello": "world"}, id=f"{after}-1")

    def prune(self) -> None:
        with self.database.transaction() as tx:
            self._outbox.prune(tx, older_than=0)

    def restart(self) -> None:
        self._server.kill()
        self._server.start()

    def end(self) -> None:
        for which, _ in enumerate(CONSUMERS):
            while self.read(which, 7):
                pass
            self.resign(which)
        self._outbox.close()

    def _key(self) -> str:
        with self.database.reading() as tx:
            return f"{KEY_PREFIX}{OutboxStore().stream(tx)}"


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("check_seconds", [0.0, 1e9], ids=["checked", "unchecked"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, max_size=40))
def test_nothing_is_lost_or_told_twice(
    server: RedisServer,
    sqlite_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    check_seconds: float,
    steps: list[tuple[str, int]],
) -> None:
    folder = tmp_path_factory.mktemp("story")
    (folder / "node.db").write_bytes(sqlite_template.read_bytes())
    with pytest.MonkeyPatch.context() as patch, opened(f"sqlite:///{folder / 'node.db'}") as database:
        patch.setattr(outbox_relay, "CHECK_SECONDS", check_seconds)
        story = Story(database, server, Wakeups(folder / "run"))
        with database.transaction() as tx:
            story._outbox.register(tx, *CONSUMERS)
        for name, *arguments in steps:
            getattr(story, name)(*arguments)
            for each in story.seen:
                assert each.seen == list(range(len(each.seen)))
        story.end()

    assert all(each.seen == list(range(story.posted)) for each in story.seen)
