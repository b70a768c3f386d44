"""Whatever is given as a target is refused in words, or can be sent to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpcore
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from kamu_assets.clock import ManualClock
from kamu_assets.egress.policy import EgressPolicy
from kamu_assets.webhooks.errors import DeliveryFailedError, InvalidTargetUrlError
from kamu_assets.webhooks.model import Delivery, EventType, Subscription, SubscriptionStatus
from kamu_assets.webhooks.sealing import Seal
from kamu_assets.webhooks.sender import Letter, Sender
from kamu_assets.webhooks.targets import Targets
from tests.support.builders import START

POLICY = EgressPolicy()
TARGETS = Targets(POLICY, allow_http=True)
SENDER = Sender(POLICY, seal=Seal(lambda: bytes(32)), clock=ManualClock(START), timeout_seconds=1, allow_http=True)
# 127 in full-width digits, which some take for digits.
WIDE = "\uff11\uff12\uff17"
SIGNS = (
    ":",
    "//",
    "/",
    "\\",
    "@",
    "?",
    "#",
    "%",
    "%2f",
    "%00",
    "..",
    ".",
    "[",
    "]",
    " ",
    "\t",
    "\n",
    "\0",
    "\ud800",
    "é",
)
HOSTS = ("127.0.0.1", "0x7f.1", "2130706433", "localhost", "a.test", "xn--", "::1", "fe80::1%25eth0", f"{WIDE}.0.0.1")
OTHERS = ("https", "http", "HTTPS", ":443", ":0", ":65536", "user:secret@", "a" * 64)
PARTS = st.lists(st.sampled_from((*SIGNS, *HOSTS, *OTHERS)), max_size=8).map("".join)


@pytest.fixture(autouse=True, scope="module")
def no_names() -> Iterator[None]:
    """A network where names have no address; numbers are looked up as ever."""
    real = socket.getaddrinfo

    def resolved(host: str, port: int, *args: Any, **options: Any) -> Any:
        return real(host, port, *args, **{**options, "flags": socket.AI_NUMERICHOST})

    def nobody_there(*_: Any, **__: Any) -> Any:
        raise httpcore.ConnectError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolved)
        patch.setattr(httpcore.SyncBackend, "connect_tcp", nobody_there)
        yield


@given(
    st.text(max_size=40)
    | st.lists(PARTS, max_size=8).map("".join)
    | st.lists(PARTS).map(lambda p: f"https://{''.join(p)}")
)
@example("https://2130706433/")
@example("https://0x7f.1/")
@example(f"https://{WIDE}.0.0.1/")
def test_a_target_is_refused_in_words_or_can_be_sent_to(text: str) -> None:
    try:
        target = TARGETS.check(text)
    except InvalidTargetUrlError:
        return
    subscription = Subscription(
        id="s",
        dataset_id=None,
        target_url=target,
        event_types=(EventType.DATASET_REF_UPDATED,),
        label="",
        status=SubscriptionStatus.ENABLED,
        secret=SecretStr("secret"),
        created_at=START,
    )
    delivery = Delivery("d", "s", EventType.TEST, None, created_at=START, attempt=1)

    # Nobody is there, and nothing else is wrong.
    with pytest.raises(DeliveryFailedError, match="Failed to connect"):
        SENDER.send(Letter(subscription, delivery, b"{}"))
