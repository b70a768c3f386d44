"""What is told of a home whose key has gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kamu_assets.auth.errors import DamagedKeyError
from kamu_assets.node import open_node
from kamu_assets.settings import load_settings
from kamu_assets.webhooks.model import SubscriptionInput


def test_a_new_key_that_opens_no_secret_is_told_of_once(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "home", webhooks={"allow_http": True}, egress={"allow": ["127.0.0.1"]})
    with capture_logs() as at_first, open_node(settings) as node:
        wanted = SubscriptionInput(target_url="http://127.0.0.1:1/")
        node.webhooks.service.create(node.auth.admin_caller(), None, wanted)
        key = node.key.file
    key.rename(tmp_path / "away")

    with capture_logs() as logs:
        for _ in range(2):
            open_node(settings).close()

    assert not [each for each in at_first if each["log_level"] == "error"]
    [told] = [each for each in logs if each["log_level"] == "error"]
    assert (told["event"], told["unreadable_webhook_secrets"]) == ("node_key_was_missing", 1)
    assert (told["file"], "webhook rotate-secret" in told["what_to_do"]) == (str(key), True)
    key.write_text("nonsense")
    with pytest.raises(DamagedKeyError, match="webhook rotate-secret"):
        open_node(settings)
