"""A node's deliveries, and a receiver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.webhook_receiver import Receiver, webhook_receiver
from tests.support.webhooks import Hooks, open_hooks


@pytest.fixture
def hooks(tmp_path: Path) -> Iterator[Hooks]:
    hooks = open_hooks(tmp_path)
    yield hooks
    hooks.heart.database.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver
