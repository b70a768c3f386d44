"""Deliveries to real receivers: what arrives, what counts as arrived, and what becomes of the others."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import structlog

from kamu_assets.datasets.messages import DatasetUpdated
from kamu_assets.egress.policy import EgressPolicy
from kamu_assets.monitoring.metric import LEDGER
from kamu_assets.odf.identity import DatasetID
from kamu_assets.webhooks.errors import DeliveryFailedError, NotDueError
from kamu_assets.webhooks.model import DeliveryRules, DeliveryState, SubscriptionStatus
from kamu_assets.webhooks.service import NewSecret
from tests.support.builders import a_hash
from tests.support.heart import ADMIN, KAMU
from tests.support.waiting import wait_until
from tests.support.webhook_receiver import Answer, Receiver, certificate_for, webhook_receiver
from tests.support.webhook_signatures import verify_by_library, verify_kamu, verify_standard
from tests.support.webhooks import Hooks, open_hooks

IMPATIENT = DeliveryRules(timeout_seconds=1)


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[Hooks]:
    hooks = open_hooks(tmp_path)
    yield hooks
    hooks.heart.database.close()


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Hooks]:
    """A second for each attempt."""
    hooks = open_hooks(tmp_path, rules=IMPATIENT)
    yield hooks
    hooks.heart.database.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


def subscribed(hooks: Hooks, url: str) -> tuple[DatasetID, NewSecret]:
    dataset = hooks.heart.dataset().id
    return dataset, hooks.subscribe(url, dataset)


def reason(hooks: Hooks, made: NewSecret) -> str | None:
    return hooks.deliveries(made)[-1].message


class TestWhatArrives:
    """Body and headers."""

    def test_the_body_is_that_of_the_contract(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, _ = subscribed(hooks, f"{receiver.url}/kamu")
        old = hooks.heart.chains.state(dataset).head
        hooks.heart.add_data(dataset)
        new = hooks.heart.add_data(dataset)

        hooks.deliver()

        [request] = receiver.received
        assert list(request.json.items()) == [
            ("version", 2),
            ("dataset_id", str(dataset)),
            ("owner_account_id", str(KAMU.id)),
            ("block_ref", "head"),
            ("new_hash", str(new)),
            ("old_hash", str(old)),
            ("is_breaking_change", False),
        ]

    def test_a_new_dataset_has_no_old_hash(self, hooks: Hooks, receiver: Receiver) -> None:
        hooks.subscribe(receiver.url)
        hooks.heart.dataset()

        hooks.deliver()

        assert "old_hash" not in receiver.received[0].json

    def test_the_headers_say_what_it_is(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, made = subscribed(hooks, receiver.url)
        hooks.heart.add_data(dataset)

        hooks.deliver()

        [request] = receiver.received
        assert request.method == "POST"
        assert request.headers["user-agent"] == "Kamu-Webhook/1.0"
        assert request.headers["content-type"] == "application/json"
        assert request.headers["x-webhook-event-type"] == "DATASET.REF.UPDATED"
        assert request.headers["x-webhook-subscription-id"] == made.subscription.id
        assert request.headers["x-webhook-timestamp"] == str(hooks.heart.clock.now().ns // 10**9)
        assert uuid.UUID(request.headers["x-webhook-delivery-id"])
        assert request.headers["x-webhook-delivery-attempt"] == "1"

    def test_a_repeated_delivery_has_the_same_id_and_body(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, _ = subscribed(hooks, receiver.url)
        receiver.turns = [Answer(status=503), Answer(hangs_up=True)]
        hooks.heart.add_data(dataset)

        hooks.deliver()
        hooks.heart.add_data(dataset)
        hooks.heart.clock.advance(3_600)
        hooks.deliver()
        hooks.heart.clock.advance(3_600)
        hooks.deliver()
        hooks.deliver()

        ids, attempts = zip(*(request.delivery for request in receiver.received), strict=True)
        assert attempts == (1, 2, 3, 1)
        assert len({*ids[:3]}) == 1
        assert ids[3] != ids[0]
        assert len({request.body for request in receiver.received[:3]}) == 1

    @pytest.mark.parametrize("target", ["", "/", "/a/b%20c?x=1&y=2", "/a?b=%2F"])
    def test_the_target_is_asked_for_as_it_was_written(self, hooks: Hooks, receiver: Receiver, target: str) -> None:
        dataset, made = subscribed(hooks, receiver.url + target)
        hooks.heart.add_data(dataset)

        hooks.deliver()

        [request] = receiver.received
        assert request.target == (target or "/")
        assert verify_standard(request, made.secret.get_secret_value())
        assert verify_kamu(request, made.secret.get_secret_value())


class TestSignatures:
    """WH-09"""

    def test_the_receiver_can_verify_what_it_got(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, made = subscribed(hooks, f"{receiver.url}/kamu")
        hooks.heart.add_data(dataset)

        hooks.deliver()

        [request] = receiver.received
        assert verify_standard(request, made.secret.get_secret_value())
        assert verify_by_library(request, made.secret.get_secret_value())
        assert verify_kamu(request, made.secret.get_secret_value())

    def test_after_a_rotation_the_old_secret_stops(self, hooks: Hooks, receiver: Receiver) -> None:
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

    def test_secrets_are_in_no_log(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, made = subscribed(hooks, f"{receiver.url}/kamu?token=verysecret")
        receiver.turns = [Answer(status=500)]
        hooks.heart.add_data(dataset)

        with structlog.testing.capture_logs() as logged:
            hooks.fail(2)

        assert len(receiver.received) == 2
        assert made.secret.get_secret_value() not in json.dumps(logged, default=str)
        assert "verysecret" not in json.dumps(logged, default=str)


class TestAnswers:
    """WH-08: which answers are retried, and which end it."""

    @pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
    def test_all_of_2xx_is_success(self, hooks: Hooks, receiver: Receiver, status: int) -> None:
        dataset, made = subscribed(hooks, receiver.url)
        receiver.usual = Answer(status=status)
        hooks.heart.add_data(dataset)

        hooks.deliver()

        [delivery] = hooks.deliveries(made)
        assert (delivery.state, delivery.response_status) == (DeliveryState.DELIVERED, status)
        assert hooks.subscription(made).told_head == delivery.new_hash

    @pytest.mark.parametrize("status", [300, 301, 304, 400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504])
    def test_all_else_is_tried_again_later(self, hooks: Hooks, receiver: Receiver, status: int) -> None:
        dataset, made = subscribed(hooks, receiver.url)
        receiver.turns = [Answer(status=status)]
        hooks.heart.add_data(dataset)

        assert hooks.deliver() == [status]
        assert hooks.states(made) == [DeliveryState.RETRYING]
        assert hooks.deliver() == []
        hooks.heart.clock.advance(10)
        assert hooks.deliver() == [200]

    def test_410_ends_the_subscription_at_once(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, made = subscribed(hooks, receiver.url)
        receiver.usual = Answer(status=410)
        hooks.heart.add_data(dataset)

        hooks.deliver()

        assert hooks.states(made) == [DeliveryState.FAILED]
        assert hooks.subscription(made).status is SubscriptionStatus.UNREACHABLE

    @pytest.mark.parametrize(
        ("said", "kept"), [("120", 120), ("5", 10), ("999999999", 3_600), ("-1", 10), ("soon", 10), ("nan", 10)]
    )
    def test_retry_after_is_kept(self, hooks: Hooks, receiver: Receiver, said: str, kept: int) -> None:
        dataset, _ = subscribed(hooks, receiver.url)
        receiver.turns = [Answer(status=429, headers={"retry-after": said})]
        hooks.heart.add_data(dataset)
        hooks.deliver()

        hooks.heart.clock.advance(kept - 1)
        assert hooks.deliver() == []
        hooks.heart.clock.advance(1)
        assert hooks.deliver() == [200]

    def test_pauses_double(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, made = subscribed(hooks, receiver.url)
        receiver.usual = Answer(status=500)
        hooks.heart.add_data(dataset)

        pauses = []
        for _ in range(3):
            hooks.deliver()
            pauses.append((hooks.deliveries(made)[0].due_at.ns - hooks.heart.clock.now().ns) / 10**9)
            hooks.heart.clock.advance(pauses[-1])
        hooks.deliver()

        assert pauses == [10, 20, 40]
        assert hooks.states(made) == [DeliveryState.FAILED]

    def test_a_body_without_end_is_not_read(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, _ = subscribed(hooks, receiver.url)
        receiver.usual = Answer(is_endless=True)
        hooks.heart.add_data(dataset)

        assert hooks.deliver() == [200]

    @pytest.mark.parametrize("answer", [Answer(silence_seconds=60), Answer(drip_seconds=0.05)])
    def test_slow_answers_end_in_time(self, impatient: Hooks, receiver: Receiver, answer: Answer) -> None:
        dataset, made = subscribed(impatient, receiver.url)
        receiver.usual = answer
        impatient.heart.add_data(dataset)

        impatient.deliver()

        assert reason(impatient, made) == "No answer within 1 seconds"
        assert impatient.states(made) == [DeliveryState.RETRYING]

    def test_headers_without_end_are_refused(self, impatient: Hooks, receiver: Receiver) -> None:
        dataset, made = subscribed(impatient, receiver.url)
        receiver.usual = Answer(headers={f"x-{number}": "y" * 10_000 for number in range(100)})
        impatient.heart.add_data(dataset)

        impatient.deliver()

        assert impatient.states(made) == [DeliveryState.RETRYING]
        assert impatient.deliveries(made)[0].response_status is None

    def test_a_closed_port_says_no_more_than_a_name_without_address(self, hooks: Hooks) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            closed = f"http://127.0.0.1:{server.getsockname()[1]}/"
        dataset, made = subscribed(hooks, closed)
        unknown = hooks.subscribe("http://nobody.invalid/", dataset)
        hooks.heart.add_data(dataset)

        hooks.deliver()

        assert reason(hooks, made) == reason(hooks, unknown) == "Failed to connect"

    def test_what_hangs_up_is_tried_again(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, made = subscribed(hooks, receiver.url)
        receiver.turns = [Answer(hangs_up=True)]
        hooks.heart.add_data(dataset)

        hooks.deliver()

        assert reason(hooks, made) == "The connection broke before there was an answer"
        assert hooks.states(made) == [DeliveryState.RETRYING]


class TestRedirects:
    """WH-04"""

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_they_are_not_followed(self, hooks: Hooks, receiver: Receiver, status: int) -> None:
        with webhook_receiver() as inner:
            dataset, made = subscribed(hooks, receiver.url)
            receiver.usual = Answer(status=status, headers={"location": f"{inner.url}/inner"})
            hooks.heart.add_data(dataset)

            hooks.deliver()

            assert inner.received == []
        assert reason(hooks, made) == f"The target answered {status} and is not followed"


class TestAddresses:
    """WH-01: refused at the connection, too."""

    @pytest.fixture
    def names(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
        known: dict[str, str] = {}
        real = socket.getaddrinfo

        def resolved(host: str, port: int, *args: Any, **options: Any) -> Any:
            return real(known.get(host, host), port, *args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", resolved)
        return known

    @pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "10.0.0.1"])
    def test_a_name_that_moves_inside_is_refused(
        self, tmp_path: Path, receiver: Receiver, names: dict[str, str], address: str
    ) -> None:
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
        assert (
            reason(hooks, made) == reason(hooks, closed) == "Failed to connect: the address of the target is not public"
        )
        hooks.heart.database.close()

    def test_a_test_is_refused_too(self, tmp_path: Path, receiver: Receiver, names: dict[str, str]) -> None:
        hooks = open_hooks(tmp_path, policy=EgressPolicy())
        names["hooks.example.org"] = "93.184.216.34"
        _, made = subscribed(hooks, "http://hooks.example.org" + receiver.url[len("http://127.0.0.1") :])
        names["hooks.example.org"] = "127.0.0.1"

        done = hooks.parts.service.test(ADMIN, made.subscription.id)

        assert (done.state, receiver.received) == (DeliveryState.FAILED, [])
        hooks.heart.database.close()


class TestTls:
    """Certificates are checked."""

    def test_a_trusted_receiver_is_told(self, tmp_path: Path) -> None:
        certificate, trusting = certificate_for("localhost")
        policy = EgressPolicy.allowing(["localhost", "127.0.0.1"])
        hooks = open_hooks(tmp_path, context=trusting, allow_http=False, policy=policy)
        with webhook_receiver(certificate) as receiver:
            dataset, made = subscribed(hooks, f"{receiver.url}/kamu")
            hooks.heart.add_data(dataset)

            assert hooks.deliver() == [200]

            assert verify_standard(receiver.received[0], made.secret.get_secret_value())
        hooks.heart.database.close()

    def test_others_are_not(self, tmp_path: Path) -> None:
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


class TestStopping:
    """What fails too often is stopped, and told of what it missed when it is back."""

    def test_after_so_many_failures_in_a_row_it_is_unreachable(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, made = subscribed(hooks, receiver.url)
        receiver.usual = Answer(status=500)

        for number in range(5):
            assert hooks.subscription(made).consecutive_failures == number
            assert hooks.subscription(made).status is SubscriptionStatus.ENABLED
            hooks.heart.add_data(dataset)
            hooks.fail(4)
        hooks.heart.add_data(dataset)
        hooks.fail(4)

        assert hooks.subscription(made).status is SubscriptionStatus.UNREACHABLE
        assert hooks.states(made) == [DeliveryState.FAILED] * 5
        assert len(receiver.received) == 20

    def test_attempts_and_ends_are_counted(self, hooks: Hooks, receiver: Receiver) -> None:
        def values() -> list[float]:
            ledger, name = LEDGER.open(), "kamu_node_webhook_attempts_total"
            outcomes = [ledger.get_sample_value(name, {"outcome": each}) for each in ("delivered", "failed")]
            return [each or 0 for each in (*outcomes, ledger.get_sample_value("kamu_node_webhooks_stopped_total"))]

        dataset, _ = subscribed(hooks, receiver.url)
        receiver.turns = [Answer(), Answer(status=500), Answer(status=410)]
        before = values()
        for _ in receiver.turns.copy():
            hooks.heart.add_data(dataset)
            hooks.fail(1)

        assert [after - was for after, was in zip(values(), before, strict=True)] == [1, 2, 1]

    def test_a_success_starts_the_count_anew(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, made = subscribed(hooks, receiver.url)
        for _ in range(3):
            receiver.turns = [Answer(status=500)] * 4 * 4
            for _ in range(4):
                hooks.heart.add_data(dataset)
                hooks.fail(4)
            hooks.heart.add_data(dataset)
            hooks.deliver()

        assert hooks.subscription(made).status is SubscriptionStatus.ENABLED
        assert hooks.subscription(made).consecutive_failures == 0

    def test_reactivated_it_is_told_what_it_missed(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, made = subscribed(hooks, receiver.url)
        known = hooks.subscription(made).told_head
        receiver.turns = [Answer(status=410)]
        hooks.heart.add_data(dataset)
        hooks.deliver()
        newest = hooks.heart.add_data(dataset)
        hooks.dispatch()

        assert hooks.parts.service.reactivate(ADMIN, made.subscription.id).status is SubscriptionStatus.ENABLED
        assert hooks.deliver() == [200]

        told = receiver.received[-1].json
        assert (told["old_hash"], told["new_hash"]) == (str(known), str(newest))
        assert hooks.deliver() == []

    def test_what_waited_is_dropped_when_it_stops(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, made = subscribed(hooks, receiver.url)
        receiver.turns = [Answer(status=500), Answer(status=410)]
        hooks.heart.add_data(dataset)
        hooks.deliver()
        hooks.heart.add_data(dataset)
        hooks.heart.clock.advance(10)
        hooks.deliver()

        assert hooks.states(made) == [DeliveryState.FAILED, DeliveryState.ABORTED]

    def test_paused_while_it_is_told_it_is_not_tried_again(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, made = subscribed(hooks, receiver.url)
        receiver.turns = [Answer(status=500)]
        hooks.heart.add_data(dataset)
        hooks.deliver()

        hooks.parts.service.pause(ADMIN, made.subscription.id)
        hooks.heart.clock.advance(3_600)

        assert hooks.deliver() == []
        assert hooks.states(made) == [DeliveryState.ABORTED]


class TestAttempts:
    """What whoever runs attempts can rely on."""

    def test_failures_say_whether_another_attempt_helps(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, _ = subscribed(hooks, receiver.url)
        receiver.turns = [Answer(status=500), Answer(status=410)]
        hooks.heart.add_data(dataset)
        hooks.dispatch()
        [delivery] = hooks.parts.deliverer.due()

        with pytest.raises(DeliveryFailedError, match=r"^The target answered 500$") as first:
            hooks.parts.deliverer.deliver(delivery.id)
        hooks.heart.clock.advance(10)
        with pytest.raises(DeliveryFailedError) as second:
            hooks.parts.deliverer.deliver(delivery.id)

        assert (first.value.recoverable, second.value.recoverable) == (True, False)

    def test_a_delivery_is_tried_by_one_at_a_time_and_not_when_it_is_done(
        self, hooks: Hooks, receiver: Receiver
    ) -> None:
        dataset, _ = subscribed(hooks, receiver.url)
        hooks.heart.add_data(dataset)
        hooks.dispatch()
        [delivery] = hooks.parts.deliverer.due()

        hooks.parts.deliverer.deliver(delivery.id)

        with pytest.raises(NotDueError):
            hooks.parts.deliverer.deliver(delivery.id)
        with pytest.raises(NotDueError):
            hooks.parts.deliverer.deliver("nope")
        assert len(receiver.received) == 1

    def test_a_deleted_dataset_is_told_of_no_more(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, _ = subscribed(hooks, receiver.url)
        hooks.heart.add_data(dataset)
        hooks.dispatch()
        hooks.heart.datasets.delete(ADMIN, dataset)
        [delivery] = hooks.parts.deliverer.due()

        with pytest.raises(NotDueError):
            hooks.parts.deliverer.deliver(delivery.id)

        assert receiver.received == []


class TestTests:
    """A ping."""

    @pytest.mark.parametrize("state", ["ENABLED", "PAUSED"])
    def test_it_is_sent_at_once_and_signed(self, hooks: Hooks, receiver: Receiver, state: str) -> None:
        dataset, made = subscribed(hooks, receiver.url)
        if state == "PAUSED":
            hooks.parts.service.pause(ADMIN, made.subscription.id)

        done = hooks.parts.service.test(ADMIN, made.subscription.id)

        [request] = receiver.received
        assert (done.state, done.response_status) == (DeliveryState.DELIVERED, 200)
        assert request.headers["x-webhook-event-type"] == "TEST"
        assert request.json == {"version": 2, "dataset_id": str(dataset), "owner_account_id": str(KAMU.id)}
        assert verify_kamu(request, made.secret.get_secret_value())

    def test_failures_of_it_count_for_nothing(self, hooks: Hooks, receiver: Receiver) -> None:
        _, made = subscribed(hooks, receiver.url)
        receiver.usual = Answer(status=410)

        for _ in range(6):
            done = hooks.parts.service.test(ADMIN, made.subscription.id)

        assert (done.state, done.message) == (DeliveryState.FAILED, "The target answered 410")
        assert hooks.subscription(made) == made.subscription


class TestCourier:
    """Receivers beside each other (trial WH-06)."""

    def test_a_dead_receiver_does_not_hold_up_others_and_is_stopped(self, tmp_path: Path) -> None:
        rules = DeliveryRules(timeout_seconds=0.5, max_attempts=2, retry_seconds=0.01, max_consecutive_failures=3)
        hooks = open_hooks(tmp_path, rules=rules)
        with ExitStack() as stack:
            dead, *healthy = (stack.enter_context(webhook_receiver()) for _ in range(4))
            dead.usual = Answer(silence_seconds=600)
            dataset, made = subscribed(hooks, dead.url)
            for each in healthy:
                hooks.subscribe(each.url, dataset)

            for batch in range(100):
                newest = self._ten_updates(hooks, dataset, batch)
                hooks.heart.clock.advance(0.1)
                hooks.courier.step()
            told = wait_until(lambda: self._told_all(hooks, healthy, newest))
            wait_until(lambda: self._is_stopped(hooks, made))

            assert all(len(each.received) >= 1 for each in healthy), told
            assert len(dead.received) == 6
            assert hooks.courier.wait_until_idle(60)
        hooks.heart.database.close()

    def test_one_receiver_gets_one_delivery_at_a_time_in_order(self, hooks: Hooks, receiver: Receiver) -> None:
        dataset, _ = subscribed(hooks, receiver.url)
        hooks.courier.step()
        heads = []
        for _ in range(10):
            heads.append(str(hooks.heart.add_data(dataset, records=1)))
            hooks.courier.step()

        wait_until(lambda: self._told_all(hooks, [receiver], heads[-1]))

        told = [request.json["new_hash"] for request in receiver.received]
        assert told == sorted(told, key=heads.index)
        for earlier, later in pairwise(receiver.received):
            assert earlier.json["new_hash"] == later.json["old_hash"]

    @staticmethod
    def _ten_updates(hooks: Hooks, dataset: DatasetID, batch: int) -> str:
        entry = hooks.heart.datasets.resolve(ADMIN, dataset)
        heads = [a_hash(f"{10 * batch + number}") for number in range(-1, 10)]
        with hooks.heart.database.transaction() as tx:
            for old, new in pairwise(heads):
                message = DatasetUpdated(
                    dataset_id=dataset,
                    alias=entry.alias,
                    kind=entry.kind,
                    old_head=old,
                    new_head=new,
                    blocks=1,
                    new_records=1,
                    event_kinds=("AddData",),
                    watermark=None,
                    system_time=hooks.heart.clock.now(),
                    run_id=None,
                )
                hooks.outbox.post(tx, message)
        return str(heads[-1])

    @staticmethod
    def _told_all(hooks: Hooks, receivers: list[Receiver], head: str | None) -> bool:
        hooks.courier.step()
        return all(each.received and each.received[-1].json["new_hash"] == head for each in receivers)

    @staticmethod
    def _is_stopped(hooks: Hooks, made: NewSecret) -> bool:
        # A delivery that is being sent is given up by the clock that stands still here.
        hooks.heart.clock.advance(0.1)
        hooks.courier.step()
        return hooks.subscription(made).status is SubscriptionStatus.UNREACHABLE
