"""A stream of Redis that holds the newest messages of the outbox, in their order and under their numbers.

Each entry says which message came before it. So a reader notices what is missing, whatever became of the stream, and
reads it from the table; and the same entry cannot be added twice, since Redis refuses a number that is not greater.
Consumer groups of Redis are not used: what a consumer is done with is kept beside the messages.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qs, urlsplit

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from kamu_assets.database.outbox_store import StoredMessage
from kamu_assets.errors import InvalidError, UnavailableError

log = structlog.get_logger(__name__)

KEY_PREFIX = "kamu:outbox:"
# Of one stream; the table has the rest. Redis removes whole blocks of entries, so there may be some more.
MAX_ENTRIES = 10_000
# Streams that nobody writes any more vanish.
LIFETIME_SECONDS = 86_400
ANSWER_SECONDS = 1.0
MAX_BLOCK_SECONDS = 1.0
# Options of URLs by which answers would come in another form.
_FIXED = frozenset({"protocol", "decode_responses", "legacy_responses"})
_FIELDS = (b"prev", b"topic", b"body")
_BEFORE_ALL = "0-0"
# By those who only want to know that there are some.
_SEEN_AT_ONCE = 50

_Fields = Mapping[bytes, bytes]


class StreamUnavailableError(UnavailableError):
    """Redis cannot be reached or used now."""

    def __init__(self, reason: object) -> None:
        super().__init__(f"Redis unavailable: {reason} (setting outbox.redis_url)")


class ForeignEntryError(InvalidError):
    """Somebody else wrote into our stream."""

    def __init__(self, key: str, entry: str, reason: str) -> None:
        super().__init__(f"entry {entry} of {key} is no message of the outbox: {reason}")
        self.key = key
        self.entry = entry
        self.reason = reason


class _Entry(NamedTuple):
    # The message before it.
    prev: int
    message: StoredMessage


class Stream:
    """All that is said to Redis. Safe for threads."""

    def __init__(self, url: str, *, max_entries: int = MAX_ENTRIES) -> None:
        self._client = _client(url, ANSWER_SECONDS)
        # Who waits for news hears nothing until there are some.
        self._waiting = _client(url, ANSWER_SECONDS + MAX_BLOCK_SECONDS)
        self._max_entries = max_entries

    def after(self, name: str, position: int, limit: int) -> list[StoredMessage]:
        """The messages that follow a position, up to the first that is missing."""
        key = KEY_PREFIX + name
        with _told():
            found = self._client.xrange(key, min=f"{position + 1}-0", count=limit)
        return list(_unbroken(key, cast("Sequence[tuple[bytes, _Fields]]", found), position))

    def last(self, name: str) -> str | None:
        """The number of the newest entry, whoever wrote it."""
        with _told():
            found = cast("Sequence[tuple[bytes, _Fields]]", self._client.xrevrange(KEY_PREFIX + name, count=1))
        return found[0][0].decode() if found else None

    def add(self, name: str, messages: Sequence[StoredMessage], *, prev: int) -> None:
        """Append messages that follow `prev`. Fails where the stream holds greater numbers."""
        key = KEY_PREFIX + name
        with _told(), self._client.pipeline(transaction=False) as pipeline:
            for each in messages:
                fields: dict[Any, Any] = {"prev": prev, "topic": each.topic, "body": each.body}
                pipeline.xadd(key, fields, id=entry_of(each.id), maxlen=self._max_entries, approximate=True)
                prev = each.id
            pipeline.expire(key, LIFETIME_SECONDS)
            pipeline.execute()

    def keep(self, name: str) -> None:
        """Say that the stream is still in use; raises where Redis is not."""
        with _told():
            self._client.expire(KEY_PREFIX + name, LIFETIME_SECONDS)

    def remove(self, name: str) -> None:
        """Have no such stream."""
        with _told():
            self._client.delete(KEY_PREFIX + name)

    def wait(self, name: str, last: str | None, seconds: float) -> str | None:
        """The number of an entry after `last`, of the newest in a while; None if none came within so many seconds."""
        milliseconds = round(min(seconds, MAX_BLOCK_SECONDS) * 1000)
        key = KEY_PREFIX + name
        with _told():
            found = self._waiting.xread({key: last or _BEFORE_ALL}, count=_SEEN_AT_ONCE, block=milliseconds)
        if not found:
            return None
        ((_, entries),) = cast("Sequence[tuple[bytes, Sequence[tuple[bytes, _Fields]]]]", found)
        return entries[-1][0].decode()

    def close(self) -> None:
        self._client.close()
        self._waiting.close()


def entry_of(message: int) -> str:
    """What Redis calls the entry of a message."""
    return f"{message}-0"


def _unbroken(key: str, found: Sequence[tuple[bytes, _Fields]], position: int) -> Iterator[StoredMessage]:
    for raw, fields in found:
        try:
            entry = _read(key, raw.decode(), fields)
        except ForeignEntryError as error:
            log.warning("outbox_stream_entry_refused", key=key, entry=error.entry, reason=error.reason)
            return
        if entry.prev > position:
            return
        yield entry.message
        position = entry.message.id


def _read(key: str, entry: str, fields: _Fields) -> _Entry:
    def refuse(reason: str) -> ForeignEntryError:
        return ForeignEntryError(key, entry, reason)

    number, _, rest = entry.partition("-")
    if missing := [name.decode() for name in _FIELDS if name not in fields]:
        raise refuse(f"it has no field {', '.join(missing)}")
    if rest != "0":
        raise refuse("its number is not that of a message")
    prev = fields[b"prev"]
    if not prev.isdigit() or int(prev) >= int(number):
        raise refuse("its field prev is not the number of a message before it")
    try:
        message = StoredMessage(int(number), fields[b"topic"].decode(), fields[b"body"].decode())
    except UnicodeDecodeError as error:
        raise refuse("it is not text") from error
    return _Entry(int(prev), message)


def _client(url: str, seconds: float) -> redis.Redis:
    if refused := sorted(_FIXED & parse_qs(urlsplit(url).query, keep_blank_values=True).keys()):
        raise InvalidError(f"outbox.redis_url: the node itself decides on {', '.join(refused)}: leave it out")
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            # Whoever cannot have it at once has the table.
            retry=Retry(NoBackoff(), 0),
            client_name="kamu-node",
        )
    except (ValueError, TypeError) as error:
        raise InvalidError("outbox.redis_url: not a URL like redis://:password@host:6379/0") from error


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (redis.RedisError, OSError) as error:
        raise StreamUnavailableError(error) from error
