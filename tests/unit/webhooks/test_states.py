"""What may become of a subscription in every state."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from kamu_assets.webhooks.errors import UnexpectedStatusError
from kamu_assets.webhooks.model import Subscription
from kamu_assets.webhooks.model import SubscriptionStatus as Status
from kamu_assets.webhooks.states import PAUSE, REACTIVATE, REMOVE, RESUME, ROTATE, STOP, UPDATE, Change
from tests.support.builders import START

ALIVE = (Status.UNVERIFIED, Status.ENABLED, Status.PAUSED, Status.UNREACHABLE)
LEADS = [
    (PAUSE, {Status.ENABLED: Status.PAUSED, Status.PAUSED: Status.PAUSED}),
    (RESUME, {Status.ENABLED: Status.ENABLED, Status.PAUSED: Status.ENABLED}),
    (REACTIVATE, {Status.UNREACHABLE: Status.ENABLED}),
    (UPDATE, {status: status for status in ALIVE}),
    (ROTATE, {status: status for status in ALIVE}),
    (REMOVE, dict.fromkeys(ALIVE, Status.REMOVED)),
    (STOP, {Status.ENABLED: Status.UNREACHABLE, Status.PAUSED: Status.PAUSED}),
]


def in_state(status: Status) -> Subscription:
    return Subscription("s", None, "https://hooks.example.org/", (), "", status, SecretStr("secret"), START)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize(("change", "leads"), LEADS, ids=[change.doing for change, _ in LEADS])
def test_a_change_leads_to_a_state_or_is_unexpected(
    change: Change, leads: dict[Status, Status], status: Status
) -> None:
    expected = leads.get(status)

    if expected is not None:
        assert change.of(in_state(status)) is expected
        return
    with pytest.raises(UnexpectedStatusError, match="webhook subscription is unexpected at this state") as refused:
        change.of(in_state(status))
    assert refused.value.status is status


def test_the_words_of_a_reactivation_are_those_of_the_contract() -> None:
    with pytest.raises(UnexpectedStatusError) as refused:
        REACTIVATE.of(in_state(Status.PAUSED))

    assert str(refused.value) == "Reactivating webhook subscription is unexpected at this state"
