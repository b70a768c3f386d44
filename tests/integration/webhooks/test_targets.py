"""Where deliveries go, and where they do not: redirects, inner addresses, wrong certificates."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from kamu_assets.egress.policy import EgressPolicy
from kamu_assets.webhooks.model import DeliveryState
from tests.support.certificates import certificate_for
from tests.support.heart import ADMIN
from tests.support.webhook_receiver import Answer, Receiver, webhook_receiver
from tests.support.webhook_signatures import verify_standard
from tests.support.webhooks import Hooks, open_hooks, reason, subscribed


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(hooks: Hooks, receiver: Receiver, status: int) -> None:
    """WH-04"""
    with webhook_receiver() as inner:
        dataset, made = subscribed(hooks, receiver.url)
        receiver.usual = Answer(status=status, headers={"location": f"{inner.url}/inner"})
        hooks.heart.add_data(dataset)

        hooks.deliver()

        assert inner.received == []
    assert reason(hooks, made) == f"The target answered {status} and is not followed"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    known: dict[str, str] = {}
    real = socket.getaddrinfo

    def resolved(host: str, port: int, *args: Any, **options: Any) -> Any:
        return real(known.get(host, host), port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    return known


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "10.0.0.1"])
def test_a_name_that_moves_inside_is_refused(
    tmp_path: Path, receiver: Receiver, names: dict[str, str], address: str
) -> None:
    """WH-01: at the connection, too."""
    hooks = open_hooks(tmp_path, policy=EgressPolicy())
    names["hooks.example.org"] = "93.184.216.34"
    port = receiver.url.rpartition(":")[2]
    dataset, made = subscribed(hooks, f"http://hooks.example.org:{port}/")
    _, closed = dataset, hooks.subscribe("http://hooks.example.org:1/", dataset)
    names["hooks.example.org"] = address
    hooks.heart.add_data(dataset)

    hooks.deliver()

    assert receiver.received == []
    # Open or closed, the words are the same.
    assert reason(hooks, made) == reason(hooks, closed) == "Failed to connect: the address of the target is not public"
    hooks.heart.database.close()


def test_a_ping_of_it_is_refused_too(tmp_path: Path, receiver: Receiver, names: dict[str, str]) -> None:
    hooks = open_hooks(tmp_path, policy=EgressPolicy())
    names["hooks.example.org"] = "93.184.216.34"
    _, made = subscribed(hooks, "http://hooks.example.org" + receiver.url[len("http://127.0.0.1") :])
    names["hooks.example.org"] = "127.0.0.1"

    done = hooks.parts.service.test(ADMIN, made.subscription.id)

    assert (done.state, receiver.received) == (DeliveryState.FAILED, [])
    hooks.heart.database.close()


def test_plain_http_is_refused_at_delivery_too(tmp_path: Path, receiver: Receiver) -> None:
    """As it is when its subscription was allowed before."""
    allowing = open_hooks(tmp_path)
    dataset, made = subscribed(allowing, receiver.url)
    allowing.heart.database.close()
    hooks = open_hooks(tmp_path, allow_http=False)
    hooks.heart.add_data(dataset)

    hooks.deliver()

    assert receiver.received == []
    assert reason(hooks, made) == "Failed to connect: the target is not https"
    hooks.heart.database.close()


def test_a_trusted_receiver_is_told(tmp_path: Path) -> None:
    certificate, trusting = certificate_for("localhost")
    policy = EgressPolicy.allowing(["localhost", "127.0.0.1"])
    hooks = open_hooks(tmp_path, context=trusting, allow_http=False, policy=policy)
    with webhook_receiver(certificate) as receiver:
        dataset, made = subscribed(hooks, f"{receiver.url}/kamu")
        hooks.heart.add_data(dataset)

        assert hooks.deliver() == [200]

        assert verify_standard(receiver.received[0], made.secret.get_secret_value())
    hooks.heart.database.close()


def test_one_without_a_trusted_certificate_is_not(tmp_path: Path) -> None:
    certificate, _ = certificate_for("localhost")
    policy = EgressPolicy.allowing(["localhost", "127.0.0.1"])
    hooks = open_hooks(tmp_path, allow_http=False, policy=policy)
    with webhook_receiver(certificate) as receiver:
        dataset, made = subscribed(hooks, receiver.url)
        hooks.heart.add_data(dataset)

        hooks.deliver()

        assert receiver.received == []
    assert reason(hooks, made) == "Failed to connect: the target has no certificate that is trusted"
    hooks.heart.database.close()
