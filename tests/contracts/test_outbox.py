"""The outbox on SQLite and PostgreSQL, with the database alone and with Redis between its processes."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from kamu_assets.clock import ManualClock
from kamu_assets.database.database import Database
from kamu_assets.database.messages import Message, MessageTypes, UnknownMessage, UnreadableMessageError
from kamu_assets.database.outbox import MAX_BACKOFF_SECONDS, WAKEUP, Outbox, UnknownConsumerError
from kamu_assets.database.outbox_transport import EmbeddedTransport, Transport
from kamu_assets.database.wakeups import Wakeups
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.timestamp import Timestamp
from tests.support.prompt_redis import prompt_redis

START = Timestamp.parse("2024-01-01T00:00:00Z")
DATASET = DatasetID.seeded(b"foo")


class Counted(Message):
    topic: ClassVar[str] = "test.counted"

    number: int
    dataset: DatasetID = DATASET


class Other(Message):
    topic: ClassVar[str] = "test.other"


class Misfit(Message):
    """What somebody posts who has changed the meaning of a topic."""

    topic: ClassVar[str] = Counted.topic


TYPES = MessageTypes([Counted, Other])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def wakeups(tmp_path: Path) -> Wakeups:
    return Wakeups(tmp_path / "run")


@pytest.fixture(params=["embedded", "redis"])
def transport(request: pytest.FixtureRequest, database: Database, wakeups: Wakeups) -> Iterator[Transport]:
    if request.param == "embedded":
        yield EmbeddedTransport(wakeups)
        return
    with prompt_redis(request.getfixturevalue("redis_url"), database, wakeups) as prompt:
        yield prompt


@pytest.fixture
def outbox(database: Database, clock: ManualClock, transport: Transport) -> Outbox:
    return Outbox(database, clock=clock, types=TYPES, transport=transport)


def post(database: Database, outbox: Outbox, *numbers: int) -> None:
    with database.transaction() as tx:
        for number in numbers:
            outbox.post(tx, Counted(number=number))


def numbers(outbox: Outbox, consumer: str = "reader", limit: int = 100) -> list[int]:
    return [message.number for _, message in outbox.read(consumer, limit) if isinstance(message, Counted)]


def read_in_batches(database: Database, outbox: Outbox, consumer: str, limit: int) -> Iterator[list[Message]]:
    while deliveries := outbox.read(consumer, limit):
        with database.transaction() as tx:
            outbox.advance(tx, consumer, deliveries[-1].id)
        yield [message for _, message in deliveries]


class Collector:
    """A consumer that fails as long as it is told to."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.fails_at: int | None = None

    def __call__(self, message: Message) -> None:
        assert isinstance(message, Counted)
        if message.number == self.fails_at:
            raise RuntimeError(f"cannot count {message.number}")
        self.seen.append(message.number)


def test_messages_come_back_in_order(database: Database, outbox: Outbox) -> None:
    post(database, outbox, 1, 2)
    post(database, outbox, 3)

    deliveries = outbox.read("reader")

    assert [message for _, message in deliveries] == [Counted(number=1), Counted(number=2), Counted(number=3)]
    assert [position for position, _ in deliveries] == sorted({position for position, _ in deliveries})


def test_a_rollback_posts_nothing(database: Database, outbox: Outbox) -> None:
    def fail() -> None:
        with database.transaction() as tx:
            outbox.post(tx, Counted(number=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert outbox.read("reader") == []


def test_messages_that_wait_are_shown_and_not_handed_over(
    database: Database, outbox: Outbox, clock: ManualClock
) -> None:
    post(database, outbox, 1)
    clock.advance(5)
    post(database, outbox, 2)
    with database.transaction() as tx:
        outbox.register(tx, "reader")

    with database.reading() as tx:
        one, two = outbox.waiting(tx, "reader", 10)
        assert outbox.waiting(tx, "reader", 1) == [one]

    assert (one.topic, one.body) == (Counted.topic, Counted(number=1).model_dump_json())
    assert (one.posted_at, two.posted_at) == (START, Timestamp(START.ns + 5_000_000_000))
    assert numbers(outbox) == [1, 2]


def test_who_is_not_known_is_told_with_those_who_are(database: Database, outbox: Outbox) -> None:
    with database.transaction() as tx:
        outbox.register(tx, "one", "two")

        with pytest.raises(UnknownConsumerError, match="'three'; there are one, two"):
            outbox.retry(tx, "three")


def test_every_consumer_has_its_own_position(database: Database, outbox: Outbox) -> None:
    post(database, outbox, 1, 2, 3)

    with database.transaction() as tx:
        outbox.advance(tx, "fast", outbox.read("fast")[1].id)

    assert numbers(outbox, "fast") == [3]
    assert numbers(outbox, "slow") == [1, 2, 3]
    assert numbers(outbox, "slow", limit=2) == [1, 2]


def test_a_position_moves_with_the_transaction(database: Database, outbox: Outbox) -> None:
    post(database, outbox, 1)

    def fail() -> None:
        with database.transaction() as tx:
            outbox.advance(tx, "reader", 1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert numbers(outbox) == [1]


def test_a_position_never_goes_back(database: Database, outbox: Outbox) -> None:
    post(database, outbox, 1, 2)
    first, second = (delivery.id for delivery in outbox.read("reader"))

    with database.transaction() as tx:
        outbox.advance(tx, "reader", second)
        outbox.advance(tx, "reader", first)

    assert numbers(outbox) == []


def test_every_topic_keeps_its_order(database: Database, outbox: Outbox) -> None:
    for number in range(10):
        with database.transaction() as tx:
            outbox.post(tx, Counted(number=number), Other(), Counted(number=number + 100))

    seen = [message for batch in read_in_batches(database, outbox, "reader", 7) for message in batch]

    assert [message.topic for message in seen] == [Counted.topic, Other.topic, Counted.topic] * 10
    counted = [message.number for message in seen if isinstance(message, Counted)]
    assert counted == [number for each in range(10) for number in (each, each + 100)]


def test_what_a_crash_left_unacknowledged_is_delivered_again(database: Database, outbox: Outbox) -> None:
    post(database, outbox, 1, 2)
    handled: list[Message] = []

    def die(message: Message) -> None:
        handled.append(message)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outbox.deliver("reader", die)
    again = Collector()

    assert outbox.deliver("reader", again) == 2
    assert (handled, again.seen) == ([Counted(number=1)], [1, 2])


def test_a_slow_consumer_holds_nobody_up(database: Database, outbox: Outbox) -> None:
    slow, fast = Collector(), Collector()
    for number in range(40):
        post(database, outbox, number)
        outbox.deliver("fast", fast)
        if number % 10 == 0:
            outbox.deliver("slow", slow, limit=1)
    seen_late = list(slow.seen)

    while outbox.deliver("slow", slow, limit=3):
        pass

    assert fast.seen == slow.seen == list(range(40))
    assert seen_late == [0, 1, 2, 3]


def test_a_new_consumer_begins_with_the_oldest_message_that_is_kept(
    database: Database, outbox: Outbox, clock: ManualClock
) -> None:
    post(database, outbox, 1, 2)
    clock.advance(100)
    post(database, outbox, 3)
    outbox.deliver("old", lambda _: None)
    with database.transaction() as tx:
        outbox.prune(tx, older_than=50)
        outbox.register(tx, "new")

    assert numbers(outbox, "new") == [3]


def test_a_message_without_a_type_is_passed_on_as_unknown(
    database: Database, outbox: Outbox, clock: ManualClock
) -> None:
    post(database, outbox, 1)
    older = Outbox(database, clock=clock, types=MessageTypes([Other]))

    (_, message), *_ = older.read("reader")

    assert isinstance(message, UnknownMessage)
    assert message.original_topic == "test.counted"


def test_a_field_of_newer_code_is_ignored() -> None:
    assert MessageTypes([Counted]).decode("test.counted", '{"number": 1, "new": 2}') == Counted(number=1)


def test_a_message_that_does_not_fit_its_type_is_told() -> None:
    with pytest.raises(UnreadableMessageError, match=r"test\.counted"):
        MessageTypes([Counted]).decode("test.counted", '{"number": "many"}')


def test_two_types_cannot_share_a_topic() -> None:
    class Twin(Message):
        topic: ClassVar[str] = Counted.topic

    with pytest.raises(ValueError, match=r"test\.counted"):
        MessageTypes([Counted, Twin])


def test_posting_wakes_listeners_after_the_commit(database: Database, outbox: Outbox, wakeups: Wakeups) -> None:
    with wakeups.listen(WAKEUP) as listener:
        with database.transaction() as tx:
            outbox.post(tx, Counted(number=1))
            assert not listener.wait(0)

        assert listener.wait(10)


def test_a_delivery_hands_over_once(database: Database, outbox: Outbox) -> None:
    post(database, outbox, 1, 2, 3)
    collector = Collector()

    assert outbox.deliver("collector", collector, limit=2) == 2
    assert outbox.deliver("collector", collector, limit=2) == 1
    assert outbox.deliver("collector", collector) == 0
    assert collector.seen == [1, 2, 3]


def test_a_failing_consumer_waits_and_others_go_on(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    post(database, outbox, 1, 2, 3)
    failing, healthy = Collector(), Collector()
    failing.fails_at = 2

    assert outbox.deliver("failing", failing) == 1
    assert outbox.deliver("failing", failing) == 0
    assert outbox.deliver("healthy", healthy) == 3

    with database.reading() as tx:
        state = next(consumer for consumer in outbox.consumers(tx) if consumer.name == "failing")
    assert (state.attempts, state.last_error) == (1, "RuntimeError: cannot count 2")
    assert state.next_attempt_at == Timestamp(START.ns + 1_000_000_000)
    assert failing.seen == [1]

    failing.fails_at = None
    clock.advance(1)
    assert outbox.deliver("failing", failing) == 2
    assert failing.seen == [1, 2, 3]
    with database.reading() as tx:
        assert all(consumer.attempts == 0 and consumer.last_error is None for consumer in outbox.consumers(tx))


def test_one_process_at_a_time_works_for_a_consumer(
    database: Database, outbox: Outbox, clock: ManualClock, transport: Transport
) -> None:
    post(database, outbox, 1, 2)
    twin = Outbox(database, clock=clock, types=TYPES, transport=transport)
    seen: list[int] = []
    of_twin: list[int] = []

    def handle(message: Message) -> None:
        of_twin.append(twin.deliver("reader", lambda _: None))
        assert isinstance(message, Counted)
        seen.append(message.number)

    assert outbox.deliver("reader", handle, limit=1) == 1
    assert (seen, of_twin) == ([1], [0])
    assert twin.deliver("reader", lambda _: None) == 1
    assert outbox.deliver("reader", handle) == 0


def test_attempts_become_rarer(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    post(database, outbox, 1)
    failing = Collector()
    failing.fails_at = 1
    waits = []

    for _ in range(12):
        outbox.deliver("failing", failing)
        with database.reading() as tx:
            (state,) = outbox.consumers(tx)
        assert state.next_attempt_at is not None
        waits.append((state.next_attempt_at.ns - clock.now().ns) // 1_000_000_000)
        clock.set(state.next_attempt_at)

    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits[-1] == MAX_BACKOFF_SECONDS


def test_an_operator_can_let_a_consumer_try_again(database: Database, outbox: Outbox) -> None:
    post(database, outbox, 1)
    failing = Collector()
    failing.fails_at = 1
    outbox.deliver("failing", failing)

    failing.fails_at = None
    with database.transaction() as tx:
        outbox.retry(tx, "failing")

    assert outbox.deliver("failing", failing) == 1


def test_an_unreadable_message_stops_the_consumer_after_those_before_it(database: Database, outbox: Outbox) -> None:
    post(database, outbox, 1)
    with database.transaction() as tx:
        outbox.post(tx, Misfit())
    collector = Collector()

    assert outbox.deliver("collector", collector) == 1

    assert collector.seen == [1]
    with database.reading() as tx:
        (state,) = outbox.consumers(tx)
    assert "UnreadableMessageError" in (state.last_error or "")


def test_only_old_messages_that_all_have_passed_are_pruned(
    database: Database, outbox: Outbox, clock: ManualClock
) -> None:
    post(database, outbox, 1, 2)
    clock.advance(100)
    post(database, outbox, 3)
    with database.transaction() as tx:
        outbox.register(tx, "fast", "slow")
        outbox.register(tx, "slow")
    outbox.deliver("fast", lambda _: None)
    outbox.deliver("slow", lambda _: None, limit=1)

    with database.transaction() as tx:
        assert outbox.prune(tx, older_than=50) == 1
    assert numbers(outbox, "new") == [2, 3]

    with database.transaction() as tx:
        outbox.forget(tx, "slow")
        assert outbox.prune(tx, older_than=50) == 1
    assert numbers(outbox, "new") == [3]


def test_many_messages_are_pruned_a_part_at_a_time(
    database: Database, outbox: Outbox, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kamu_assets.database.outbox.PRUNED_AT_ONCE", 2)
    post(database, outbox, 1, 2, 3)
    clock.advance(100)
    post(database, outbox, 4)
    outbox.deliver("reader", lambda _: None)

    pruned = []
    for _ in range(3):
        with database.transaction() as tx:
            pruned.append(outbox.prune(tx, older_than=50))

    assert pruned == [2, 1, 0]
    assert numbers(outbox, "new") == [4]


def test_nothing_is_pruned_before_a_consumer_is_known(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    post(database, outbox, 1)
    clock.advance(100)

    with database.transaction() as tx:
        assert outbox.prune(tx, older_than=0) == 0


def test_numbers_are_not_given_out_again_after_pruning(database: Database, outbox: Outbox, clock: ManualClock) -> None:
    post(database, outbox, 1)
    outbox.deliver("reader", lambda _: None)
    clock.advance(1)
    with database.transaction() as tx:
        assert outbox.prune(tx, older_than=0) == 1
        assert outbox.last(tx) == 0

    post(database, outbox, 2)

    assert numbers(outbox) == [2]


def test_no_message_is_skipped_while_posters_race(database: Database, outbox: Outbox) -> None:
    posters = 6
    each = 20
    seen: list[int] = []

    def write(poster: int) -> None:
        for count in range(each):
            with database.transaction() as tx:
                outbox.post(tx, Counted(number=poster * each + count))

    threads = [threading.Thread(target=write, args=(poster,)) for poster in range(posters)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        outbox.deliver("reader", lambda message: seen.append(getattr(message, "number", -1)))
    for thread in threads:
        thread.join()
    while outbox.deliver("reader", lambda message: seen.append(getattr(message, "number", -1))):
        pass

    assert sorted(seen) == list(range(posters * each))
    for poster in range(posters):
        mine = [number for number in seen if number // each == poster]
        assert mine == sorted(mine)


def test_a_poster_waits_for_one_that_has_its_number(database: Database, outbox: Outbox) -> None:
    quick = threading.Thread(target=post, args=(database, outbox, 2))

    with database.transaction() as tx:
        outbox.post(tx, Counted(number=1))
        tx.finish()
        quick.start()
        quick.join(0.3)
        # The second one must not be seen before the first: a consumer would move past it.
        assert numbers(outbox) == []
    quick.join()

    assert numbers(outbox) == [1, 2]
