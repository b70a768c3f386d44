"""A node tells a web server of what is pushed: through public doors only, whatever happens to the node meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running_node import RunningNode, running_node
from tests.support.stories import add, derivative, pushed_root, records
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Answer, Receiver, webhook_receiver
from tests.support.webhook_signatures import verify_kamu, verify_standard

PATIENCE = 120.0
SETTINGS = {
    "storage": {"durability": "fast"},
    "egress": {"allow": ["127.0.0.1"]},
    "webhooks": {"allow_http": True, "timeout_seconds": 3, "retry_seconds": 1},
}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


def test_a_server_is_told_of_a_derivative_and_again_after_the_scheduler_was_killed(
    tmp_path: Path, receiver: Receiver
) -> None:
    with running_node(tmp_path, **SETTINGS) as node:
        add(node, pushed_root("counted"), derivative("more", of="counted"))
        made = node.told("webhook", "create", receiver.url, "--dataset", "more")

        node.push("kamu/counted", records([1]))
        wait_until(lambda: told_head(node, receiver), patience=PATIENCE)
        before = len(receiver.received)
        receiver.turns = [Answer(silence_seconds=600)]
        node.push("kamu/counted", records([2]))
        wait_until(lambda: len(receiver.received) > before, patience=PATIENCE)
        os.kill(node.pids()["scheduler"], signal.SIGKILL)

        wait_until(lambda: len(receiver.received) > before + 1, patience=PATIENCE)
        wait_until(lambda: told_head(node, receiver), patience=PATIENCE)
        wait_until(lambda: is_written_down(node, made["id"]), patience=PATIENCE)
        first, second = receiver.received[before : before + 2]
        assert (first.delivery[0], first.body) == (second.delivery[0], second.body)
        assert (first.delivery[1], second.delivery[1]) == (1, 2)
        for request in receiver.received:
            assert verify_kamu(request, made["secret"])
            assert verify_standard(request, made["secret"])
        assert made["secret"] not in node.log()


def told_head(node: RunningNode, receiver: Receiver) -> bool:
    """Whether the newest that was told is what there is."""
    head = node.told("log", "more")[0]["blockHash"]
    return bool(receiver.received) and receiver.received[-1].json["new_hash"] == head


def is_written_down(node: RunningNode, webhook: str) -> bool:
    history = node.told("webhook", "deliveries", webhook)
    return {each["state"] for each in history} == {"DELIVERED"}
