"""The life of a subscription, as it was recorded of a kamu, and what callers may not do."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from kamu_assets.auth.model import ANONYMOUS
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.errors import DeniedError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.webhooks.errors import (
    DuplicateLabelError,
    InvalidLabelError,
    InvalidTargetUrlError,
    NoEventTypesError,
    SubscriptionNotFoundError,
    UnexpectedStatusError,
    UnknownEventTypeError,
)
from kamu_assets.webhooks.model import DeliveryState, EventType, SubscriptionInput, SubscriptionStatus
from tests.support.builders import a_dataset_id
from tests.support.heart import ADMIN
from tests.support.webhooks import BOB, Hooks

URL = "https://127.0.0.1:1/kamu"


@pytest.fixture
def dataset(hooks: Hooks) -> DatasetID:
    return hooks.heart.dataset().id


def wanted(**changes: object) -> SubscriptionInput:
    return SubscriptionInput(**{"target_url": URL, "label": "first", **changes})  # type: ignore[arg-type] # tests say what


def test_what_is_offered(hooks: Hooks) -> None:
    assert [*hooks.parts.service.event_types()] == ["DATASET.REF.UPDATED"]


def test_a_life_as_recorded(hooks: Hooks, dataset: DatasetID) -> None:
    service = hooks.parts.service
    made = service.create(ADMIN, dataset, wanted())
    id_ = made.subscription.id

    assert [each.id for each in service.list(ADMIN, dataset)] == [id_]
    assert made.subscription.status is SubscriptionStatus.ENABLED
    assert len(bytes.fromhex(made.secret.get_secret_value())) == 32
    assert service.resume(ADMIN, id_).status is SubscriptionStatus.ENABLED
    assert service.pause(ADMIN, id_).status is SubscriptionStatus.PAUSED
    assert service.pause(ADMIN, id_).status is SubscriptionStatus.PAUSED
    with pytest.raises(UnexpectedStatusError) as refused:
        service.reactivate(ADMIN, id_)
    assert refused.value.status is SubscriptionStatus.PAUSED
    assert service.resume(ADMIN, id_).status is SubscriptionStatus.ENABLED
    changed = service.update(ADMIN, id_, wanted(target_url=f"{URL}/other", label="renamed"))
    assert (changed.target_url, changed.label) == (f"{URL}/other", "renamed")
    rotated = service.rotate_secret(ADMIN, id_)
    assert rotated.secret != made.secret
    assert rotated.subscription.label == "renamed"
    service.remove(ADMIN, id_)
    assert [*service.list(ADMIN, dataset)] == []
    with pytest.raises(SubscriptionNotFoundError):
        service.remove(ADMIN, id_)


def test_lists_are_in_the_order_of_making(hooks: Hooks, dataset: DatasetID) -> None:
    labels = ["z", "", "a", ""]
    for label in labels:
        hooks.subscribe(URL, dataset, label)

    assert [each.label for each in hooks.parts.service.list(ADMIN, dataset)] == labels


class TestBadInput:
    """What is refused, in the words of the contract."""

    def test_a_label_is_unique_in_its_dataset(self, hooks: Hooks, dataset: DatasetID) -> None:
        hooks.subscribe(URL, dataset, "fresh")
        other = hooks.heart.dataset("other").id

        with pytest.raises(DuplicateLabelError, match=r"^Label 'fresh' is not unique$"):
            hooks.subscribe(f"{URL}/other", dataset, "fresh")

        assert hooks.subscribe(URL, other, "fresh")

    def test_a_label_is_free_again_when_its_subscription_is_removed(self, hooks: Hooks, dataset: DatasetID) -> None:
        made = hooks.subscribe(URL, dataset, "fresh")
        hooks.parts.service.remove(ADMIN, made.subscription.id)

        assert hooks.subscribe(URL, dataset, "fresh")

    def test_an_update_may_keep_its_label_but_not_take_another_ones(self, hooks: Hooks, dataset: DatasetID) -> None:
        hooks.subscribe(URL, dataset, "taken")
        made = hooks.subscribe(URL, dataset, "mine")

        assert hooks.parts.service.update(ADMIN, made.subscription.id, wanted(label="mine"))
        with pytest.raises(DuplicateLabelError):
            hooks.parts.service.update(ADMIN, made.subscription.id, wanted(label="taken"))

    def test_a_target_may_be_subscribed_twice(self, hooks: Hooks, dataset: DatasetID) -> None:
        assert hooks.subscribe(URL, dataset).subscription.id != hooks.subscribe(URL, dataset).subscription.id

    def test_something_must_be_subscribed(self, hooks: Hooks, dataset: DatasetID) -> None:
        with pytest.raises(NoEventTypesError, match=r"^At least one event type must be provided$"):
            hooks.parts.service.create(ADMIN, dataset, wanted(event_types=()))

    @pytest.mark.parametrize("name", ["NO.SUCH", "TEST", "dataset.ref.updated", ""])
    def test_only_what_is_offered_can_be_subscribed(self, hooks: Hooks, dataset: DatasetID, name: str) -> None:
        with pytest.raises(UnknownEventTypeError) as refused:
            hooks.parts.service.create(ADMIN, dataset, wanted(event_types=(name,)))

        assert str(refused.value) == f"Invalid value '{name}'. Must be one of: \"DATASET.REF.UPDATED\""

    def test_an_event_type_counts_once(self, hooks: Hooks, dataset: DatasetID) -> None:
        twice = wanted(event_types=("DATASET.REF.UPDATED", "DATASET.REF.UPDATED"))

        made = hooks.parts.service.create(ADMIN, dataset, twice)

        assert made.subscription.event_types == (EventType.DATASET_REF_UPDATED,)

    def test_labels_have_a_length(self, hooks: Hooks, dataset: DatasetID) -> None:
        assert hooks.subscribe(URL, dataset, "x" * 100)
        with pytest.raises(InvalidLabelError, match="at most 100 characters, not 101"):
            hooks.subscribe(URL, dataset, "x" * 101)

    def test_labels_are_printable(self, hooks: Hooks, dataset: DatasetID) -> None:
        with pytest.raises(InvalidLabelError):
            hooks.subscribe(URL, dataset, "a\nb")

    def test_what_is_refused_changes_nothing(self, hooks: Hooks, dataset: DatasetID) -> None:
        made = hooks.subscribe(URL, dataset)

        for bad in (wanted(target_url="https://10.0.0.1/"), wanted(event_types=()), wanted(label="\0")):
            with pytest.raises((InvalidTargetUrlError, NoEventTypesError, InvalidLabelError)):
                hooks.parts.service.update(ADMIN, made.subscription.id, bad)

        assert hooks.subscription(made) == made.subscription


class TestPermissions:
    """Hide, don't deny."""

    @pytest.mark.parametrize("caller", [BOB, ANONYMOUS])
    def test_others_cannot_subscribe(self, hooks: Hooks, dataset: DatasetID, caller: object) -> None:
        with pytest.raises(DeniedError):
            hooks.parts.service.create(caller, dataset, wanted())  # type: ignore[arg-type] # a caller
        with pytest.raises(DeniedError):
            hooks.parts.service.list(caller, dataset)  # type: ignore[arg-type] # as above
        with pytest.raises(DeniedError):
            hooks.parts.service.create(caller, None, wanted())  # type: ignore[arg-type] # as above

    def test_nobody_resolves_names_for_others(
        self, hooks: Hooks, dataset: DatasetID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        monkeypatch.setattr("socket.getaddrinfo", lambda host, *_, **__: asked.append(host))

        with pytest.raises(DeniedError):
            hooks.parts.service.create(BOB, dataset, wanted(target_url="https://inner.example.org/"))

        assert asked == []

    def test_for_others_a_subscription_does_not_exist(self, hooks: Hooks, dataset: DatasetID) -> None:
        service = hooks.parts.service
        ids = [hooks.subscribe(URL, about).subscription.id for about in (dataset, None)]

        assert [*service.list(BOB)] == []
        for id_ in [*ids, "00000000-0000-0000-0000-000000000000"]:
            for use in (
                service.get,
                service.pause,
                service.resume,
                service.reactivate,
                service.rotate_secret,
                service.remove,
                service.test,
                service.deliveries,
            ):
                with pytest.raises(SubscriptionNotFoundError, match=f"^webhook subscription {id_} does not exist$"):
                    use(BOB, id_)
            with pytest.raises(SubscriptionNotFoundError):
                service.update(BOB, id_, wanted())

    def test_there_is_nothing_to_subscribe_to_where_no_dataset_is(self, hooks: Hooks) -> None:
        with pytest.raises(DatasetNotFoundError):
            hooks.subscribe(URL, a_dataset_id("nobody's"))


class TestSecrets:
    """They are shown once."""

    def test_they_are_in_no_text_of_a_subscription(self, hooks: Hooks, dataset: DatasetID) -> None:
        made = hooks.subscribe(URL, dataset)
        secret = made.secret.get_secret_value()

        assert secret not in repr(made)
        assert secret not in repr(hooks.subscription(made))
        assert secret not in str(hooks.outbox.read("anybody"))

    def test_a_removed_subscription_has_none(self, hooks: Hooks, dataset: DatasetID) -> None:
        made = hooks.subscribe(URL, dataset)
        hooks.parts.service.remove(ADMIN, made.subscription.id)

        with hooks.heart.database.reading() as tx:
            rows = tx.execute(text("SELECT secret FROM webhook_subscriptions")).scalars().all()

        assert rows == [""]


class TestMissedUpdates:
    """What happened while nobody was told is told in one delivery."""

    def test_pausing_drops_what_waits_and_resuming_tells_of_all_of_it(self, hooks: Hooks, dataset: DatasetID) -> None:
        made = hooks.subscribe(URL, dataset)
        known = hooks.subscription(made).told_head
        hooks.heart.add_data(dataset)
        hooks.dispatch()
        hooks.parts.service.pause(ADMIN, made.subscription.id)
        hooks.heart.add_data(dataset)
        newest = hooks.heart.add_data(dataset)
        hooks.dispatch()

        assert hooks.states(made) == [DeliveryState.ABORTED]
        hooks.parts.service.resume(ADMIN, made.subscription.id)

        assert hooks.states(made) == [DeliveryState.ABORTED, DeliveryState.WAITING]
        caught_up = hooks.deliveries(made)[-1]
        assert (caught_up.old_hash, caught_up.new_hash) == (known, newest)
        assert not caught_up.is_breaking

    def test_resuming_what_runs_tells_nothing(self, hooks: Hooks, dataset: DatasetID) -> None:
        made = hooks.subscribe(URL, dataset)
        hooks.heart.add_data(dataset)

        hooks.parts.service.resume(ADMIN, made.subscription.id)

        assert hooks.states(made) == []

    def test_resuming_where_nothing_happened_tells_nothing(self, hooks: Hooks, dataset: DatasetID) -> None:
        made = hooks.subscribe(URL, dataset)
        hooks.parts.service.pause(ADMIN, made.subscription.id)

        hooks.parts.service.resume(ADMIN, made.subscription.id)

        assert hooks.states(made) == []

    def test_what_was_there_before_the_subscription_is_not_told(self, hooks: Hooks, dataset: DatasetID) -> None:
        hooks.heart.add_data(dataset)
        made = hooks.subscribe(URL, dataset)

        hooks.dispatch()

        assert hooks.states(made) == []
