"""Random updates, answers, deaths, pauses and rotations: whatever happens, what arrives in the end is all of it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kamu_assets.webhooks.deliverer import Deliverer
from kamu_assets.webhooks.errors import DeliveryFailedError, ReceiverGoneError
from kamu_assets.webhooks.model import DeliveryRules, DeliveryState, SubscriptionStatus
from kamu_assets.webhooks.post import Post
from kamu_assets.webhooks.recall import Recall
from kamu_assets.webhooks.sender import Letter
from tests.support.heart import ADMIN
from tests.support.webhooks import Hooks, open_hooks

URL = "http://127.0.0.1:1/"
RULES = DeliveryRules(max_attempts=2, retry_seconds=10, max_consecutive_failures=2)


class Answer(Enum):
    OK = auto()
    FAILS = auto()
    GONE = auto()
    # The process dies, before or after the receiver has got it.
    DIES_BEFORE = auto()
    DIES_AFTER = auto()


class DeathError(BaseException):
    """Nobody handles it, as nobody handles the end of a process."""


@dataclass
class Line:
    """The way to a receiver that answers as it is told."""

    answer: Answer = Answer.OK
    # By id, as they arrived: first and last head.
    received: dict[str, tuple[str, str]] = field(default_factory=dict)

    def send(self, letter: Letter, *, recall: Recall | None = None) -> int:  # noqa: ARG002 - as senders have it
        delivery = letter.delivery
        if self.answer is Answer.DIES_BEFORE:
            raise DeathError
        heads = (str(delivery.old_hash), str(delivery.new_hash))
        assert self.received.setdefault(delivery.id, heads) == heads, "an id stands for one message"
        if self.answer is Answer.DIES_AFTER:
            raise DeathError
        if self.answer is not Answer.OK:
            raise (DeliveryFailedError if self.answer is Answer.FAILS else ReceiverGoneError)("!", status=500)
        return 200


class Deliveries(RuleBasedStateMachine):
    """One dataset and one receiver."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="kamu-webhooks-")
        self.line = Line()
        self.hooks = on_line(open_hooks(Path(self.folder.name), rules=RULES), self.line)
        self.dataset = self.hooks.heart.dataset().id
        self.made = self.hooks.subscribe(URL, self.dataset)
        self.heads = [str(self.made.subscription.told_head)]

    @property
    def status(self) -> SubscriptionStatus:
        return self.hooks.subscription(self.made).status

    @rule(times=st.integers(1, 3))
    def update(self, times: int) -> None:
        for _ in range(times):
            self.heads.append(str(self.hooks.heart.add_data(self.dataset, records=1)))

    @rule()
    def dispatch(self) -> None:
        self.hooks.dispatch()

    @rule(answer=st.sampled_from(Answer))
    def deliver(self, answer: Answer) -> None:
        self.line.answer = answer
        try:
            self.hooks.deliver()
        except DeathError:
            return

    @rule(answer=st.sampled_from(Answer))
    def update_and_deliver(self, answer: Answer) -> None:
        self.update(1)
        self.deliver(answer)

    @rule(seconds=st.sampled_from([5, 12, 60]))
    def time_passes(self, seconds: int) -> None:
        self.hooks.heart.clock.advance(seconds)

    @rule()
    @precondition(lambda self: self.status in {SubscriptionStatus.ENABLED, SubscriptionStatus.PAUSED})
    def pause(self) -> None:
        self.hooks.parts.service.pause(ADMIN, self.made.subscription.id)

    @rule()
    @precondition(lambda self: self.status in {SubscriptionStatus.ENABLED, SubscriptionStatus.PAUSED})
    def resume(self) -> None:
        self.hooks.parts.service.resume(ADMIN, self.made.subscription.id)

    @rule()
    @precondition(lambda self: self.status is SubscriptionStatus.UNREACHABLE)
    def reactivate(self) -> None:
        self.hooks.parts.service.reactivate(ADMIN, self.made.subscription.id)

    @rule()
    def rotate(self) -> None:
        self.hooks.parts.service.rotate_secret(ADMIN, self.made.subscription.id)

    @invariant()
    def one_is_sent_and_one_waits_behind_it(self) -> None:
        states = [state for state in self.hooks.states(self.made) if state.is_open]
        assert states.count(DeliveryState.WAITING) <= 1
        assert len(states) <= 2
        # What runs is stopped in a moment.
        runs = any(flow.cancel_requested for flow in self.hooks.flows_of(self.made))
        assert not states or self.status is SubscriptionStatus.ENABLED or runs

    @invariant()
    def what_arrived_leads_forward(self) -> None:
        for old, new in self.line.received.values():
            assert self.heads.index(old) < self.heads.index(new)

    def teardown(self) -> None:
        """The receiver is well again, and somebody looks after the subscription."""
        self.line.answer = Answer.OK
        for _ in range(4):
            self.hooks.heart.clock.advance(3_600)
            self.hooks.deliver()
        if self.status is SubscriptionStatus.ENABLED and self.hooks.states(self.made)[-1:] in (
            [],
            [DeliveryState.DELIVERED],
        ):
            assert str(self.hooks.subscription(self.made).told_head) == self.heads[-1]
        if self.status is SubscriptionStatus.UNREACHABLE:
            self.reactivate()
        else:
            self.pause()
            self.resume()
        self.hooks.heart.clock.advance(3_600)
        self.hooks.deliver()

        assert str(self.hooks.subscription(self.made).told_head) == self.heads[-1]
        assert not any(state.is_open for state in self.hooks.states(self.made))
        assert len(self.heads) == 1 or self.heads[-1] in {new for _, new in self.line.received.values()}
        self.hooks.heart.database.close()
        self.folder.cleanup()


def on_line(hooks: Hooks, line: Line) -> Hooks:
    """The same with another way to receivers."""
    post = Post(clock=hooks.heart.clock, life=hooks.flows.life)
    deliverer = Deliverer(database=hooks.heart.database, post=post, sender=line)
    return replace(hooks, parts=replace(hooks.parts, deliverer=deliverer))


TestDeliveries = Deliveries.TestCase
TestDeliveries.settings = settings(
    max_examples=25,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # A failure is told as it was found: to look for a shorter one takes minutes.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
