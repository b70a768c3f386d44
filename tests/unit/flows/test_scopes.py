"""What flows are about, and what they may be done to."""

from __future__ import annotations

import pytest

from kamu_assets.flows.model import Binding, FlowType
from kamu_assets.flows.scopes import SYSTEM, Scope, WebhookScope, dataset_of, parse_scope
from kamu_assets.odf.identity import DatasetKind
from tests.support.builders import a_dataset_id

DATASET = a_dataset_id()
WEBHOOK = WebhookScope("0b8d9c3e-1d5c-4f7c-9f7e-1f2d3c4b5a69", DATASET)


@pytest.mark.parametrize("scope", [DATASET, WEBHOOK, SYSTEM], ids=str)
def test_a_scope_is_found_by_its_text(scope: Scope) -> None:
    assert parse_scope(str(scope)) == scope


def test_a_scope_is_about_its_dataset() -> None:
    assert [dataset_of(scope) for scope in (DATASET, WEBHOOK, SYSTEM)] == [DATASET, DATASET, None]
    assert Binding(WEBHOOK, FlowType.WEBHOOK_DELIVER).dataset_id == DATASET


def test_a_receiver_is_the_same_whatever_is_known_of_it() -> None:
    assert WebhookScope(WEBHOOK.subscription_id) == WEBHOOK


def test_roots_are_compacted_and_derivatives_computed() -> None:
    roots = {type_ for type_ in FlowType if DatasetKind.ROOT in type_.kinds}
    derivatives = {type_ for type_ in FlowType if DatasetKind.DERIVATIVE in type_.kinds}

    assert roots - derivatives == {FlowType.INGEST, FlowType.HARD_COMPACTION}
    assert derivatives - roots == {FlowType.EXECUTE_TRANSFORM}
    assert set(FlowType) - roots - derivatives == {FlowType.WEBHOOK_DELIVER, FlowType.SYSTEM_GC}


def test_every_type_has_a_name_of_its_own() -> None:
    assert len({type_.full_name for type_ in FlowType}) == len(FlowType)
