"""The helper that starts a whole node: what the scenarios and the measurements stand on."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.support.running_node import NodeFailedError, running_node


def test_a_node_that_does_not_start_says_why(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(NodeFailedError, match=r"`http\.port`"), running_node(tmp_path, http={"port": port}):
            pass
