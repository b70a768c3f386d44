"""Whoever makes and sends deliveries is killed at any moment: none is lost, and one sent twice says that it is one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kamu_assets.clock import SystemClock
from kamu_assets.webhooks.deliverer import Deliverer
from kamu_assets.webhooks.dispatcher import Dispatcher
from kamu_assets.webhooks.model import DeliveryRules, DeliveryState
from kamu_assets.webhooks.post import Post
from kamu_assets.webhooks.sender import Sender
from tests.support.webhook_receiver import Answer, Receiver, webhook_receiver
from tests.support.webhooks import open_hooks

FORK = multiprocessing.get_context("forkserver")
# Long enough for whoever was sending to be given up.
LATER_SECONDS = 60
# Where a process dies: what it calls, and whether that is done by then.
DEATHS = {
    "before messages become deliveries": (Dispatcher, "dispatch", False),
    "before it is written that they did": (Dispatcher, "dispatch", True),
    "after that": (Dispatcher, "step", True),
    "before an attempt begins": (Post, "begun", False),
    "before it is written that it began": (Post, "begun", True),
    "before sending": (Sender, "send", False),
    "after sending": (Sender, "send", True),
    "before it is written that it got there": (Post, "ended", True),
    "after that too": (Deliverer, "deliver", True),
}
SENT_TWICE = {"after sending", "before it is written that it got there"}
ATTEMPTED = {"before sending", *SENT_TWICE}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


@pytest.mark.parametrize("death", DEATHS)
def test_a_delivery_survives_death_at_every_step(tmp_path: Path, receiver: Receiver, death: str) -> None:
    hooks = open_hooks(tmp_path)
    dataset = hooks.heart.dataset().id
    made = hooks.subscribe(receiver.url, dataset)
    head = hooks.heart.add_data(dataset)

    process = FORK.Process(target=tell_and_die, args=(tmp_path, death))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    hooks.heart.clock.advance(LATER_SECONDS)
    hooks.deliver()

    [delivery] = hooks.deliveries(made)
    assert (delivery.state, delivery.new_hash) == (DeliveryState.DELIVERED, head)
    attempts = [attempt for _, attempt in (request.delivery for request in receiver.received)]
    assert attempts == ([1, 2] if death in SENT_TWICE else [2] if death in ATTEMPTED else [1])
    assert len({(request.delivery[0], request.body) for request in receiver.received}) == 1
    assert hooks.subscription(made).told_head == head
    hooks.heart.database.close()


def test_processes_that_are_killed_again_and_again_tell_all_of_it(tmp_path: Path, receiver: Receiver) -> None:
    receiver.usual = Answer(silence_seconds=0.05)
    hooks = open_hooks(tmp_path, clock=SystemClock())
    dataset = hooks.heart.dataset().id
    first = hooks.heart.chains.state(dataset).head
    made = hooks.subscribe(receiver.url, dataset)
    heads = [str(first)]

    for _ in range(8):
        process = FORK.Process(target=carry, args=(tmp_path,))
        process.start()
        before = len(receiver.received)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and len(receiver.received) < before + 3:
            heads.append(str(hooks.heart.add_data(dataset, records=1)))
            time.sleep(0.02)
        process.kill()
        process.join()
    process = FORK.Process(target=carry, args=(tmp_path,))
    process.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and str(hooks.subscription(made).told_head) != heads[-1]:
        time.sleep(0.05)
    process.kill()
    process.join()

    told = {request.delivery[0]: request for request in receiver.received}
    bodies = [request.json for request in told.values()]
    assert len({(request.delivery[0], request.body) for request in receiver.received}) == len(told)
    # Each goes on where the one before it ended, from the first head to the last.
    ends = [str(first), *(body["new_hash"] for body in bodies)]
    assert [body["old_hash"] for body in bodies] == ends[:-1]
    assert ends[-1] == heads[-1]
    assert [heads.index(head) for head in ends] == sorted(heads.index(head) for head in ends)
    hooks.heart.database.close()


def tell_and_die(home: Path, death: str) -> None:
    """Dispatch and deliver, and be killed on the way."""
    owner, name, done = DEATHS[death]
    real = getattr(owner, name)

    def fatal(*arguments: object, **named: object) -> object:
        if done:
            real(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)
        return None

    setattr(owner, name, fatal)
    open_hooks(home).deliver()


def carry(home: Path) -> None:
    """Dispatch and deliver until killed."""
    rules = DeliveryRules(timeout_seconds=1, retry_seconds=0.1)
    hooks = open_hooks(home, clock=SystemClock(), rules=rules)
    while True:
        hooks.deliver()
        time.sleep(0.01)
