from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import update

from kamu_assets.database.errors import DatabaseBusyError
from kamu_assets.database.messages import Message
from kamu_assets.database.outbox_store import messages
from kamu_assets.orchestration.reports.following import follow
from tests.support.heart import Heart


def test_messages_are_handled_once_when_nothing_fails(heart: Heart) -> None:
    heart.dataset("one")
    heard: list[Message] = []

    assert follow("listener", heard.extend, outbox=heart.outbox, database=heart.database)
    assert not follow("listener", heard.extend, outbox=heart.outbox, database=heart.database)

    assert [message.topic for message in heard] == ["dataset.created"]


def test_a_failing_consumer_is_parked_and_tries_again_later(heart: Heart) -> None:
    heart.dataset("one")
    heard: list[Message] = []

    def fail(_messages: Sequence[Message]) -> None:
        raise ValueError("not today")

    assert not follow("listener", fail, outbox=heart.outbox, database=heart.database)
    assert not follow("listener", heard.extend, outbox=heart.outbox, database=heart.database)
    with heart.database.reading() as tx:
        (parked,) = [each for each in heart.outbox.consumers(tx) if each.name == "listener"]
    heart.clock.advance(600)

    assert (parked.attempts, parked.last_error) == (1, "ValueError: not today")
    assert follow("listener", heard.extend, outbox=heart.outbox, database=heart.database)
    assert len(heard) == 1


def test_a_message_that_is_none_parks_its_consumer_where_it_is_seen(heart: Heart) -> None:
    heart.dataset("one")
    with heart.database.transaction() as tx:
        tx.execute(update(messages).values(body="{}"))

    assert not follow("listener", lambda _: None, outbox=heart.outbox, database=heart.database)

    with heart.database.reading() as tx:
        (parked,) = [each for each in heart.outbox.consumers(tx) if each.name == "listener"]
    assert parked.attempts == 1
    assert "validation errors for DatasetCreated" in str(parked.last_error)


def test_that_the_database_is_away_is_the_fault_of_no_message(heart: Heart) -> None:
    heart.dataset("one")
    heard: list[Message] = []

    def fail(_messages: Sequence[Message]) -> None:
        raise DatabaseBusyError

    with pytest.raises(DatabaseBusyError):
        follow("listener", fail, outbox=heart.outbox, database=heart.database)
    assert follow("listener", heard.extend, outbox=heart.outbox, database=heart.database)
