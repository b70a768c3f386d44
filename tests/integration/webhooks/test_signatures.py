"""Receivers can be sure of what they get, and secrets stay secret (trial WH-09)."""

from __future__ import annotations

import json

import structlog

from tests.support.heart import ADMIN
from tests.support.webhook_receiver import Answer, Receiver
from tests.support.webhook_signatures import verify_by_library, verify_kamu, verify_standard
from tests.support.webhooks import Hooks, subscribed


def test_the_receiver_can_verify_what_it_got(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, f"{receiver.url}/kamu")
    hooks.heart.add_data(dataset)

    hooks.deliver()

    [request] = receiver.received
    assert verify_standard(request, made.secret.get_secret_value())
    assert verify_by_library(request, made.secret.get_secret_value())
    assert verify_kamu(request, made.secret.get_secret_value())


def test_after_a_rotation_the_old_secret_stops(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, receiver.url)
    receiver.turns = [Answer(status=500)]
    hooks.heart.add_data(dataset)
    hooks.deliver()
    rotated = hooks.parts.service.rotate_secret(ADMIN, made.subscription.id)
    hooks.heart.clock.advance(3_600)

    hooks.deliver()

    first, second = receiver.received
    old, new = (each.secret.get_secret_value() for each in (made, rotated))
    for verify in (verify_standard, verify_kamu, verify_by_library):
        assert (verify(first, old), verify(first, new)) == (True, False)
        assert (verify(second, old), verify(second, new)) == (False, True)


def test_secrets_are_in_no_log(hooks: Hooks, receiver: Receiver) -> None:
    dataset, made = subscribed(hooks, f"{receiver.url}/kamu?token=verysecret")
    receiver.turns = [Answer(status=500)]
    hooks.heart.add_data(dataset)

    with structlog.testing.capture_logs() as logged:
        hooks.fail(2)

    assert len(receiver.received) == 2
    assert made.secret.get_secret_value() not in json.dumps(logged, default=str)
    assert "verysecret" not in json.dumps(logged, default=str)
