"""`kamu-node engine serve`: a process that another node's settings name as an engine."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kamu_assets.coordinator.results import Updated
from kamu_assets.coordinator.service import PushData
from kamu_assets.node import open_node
from kamu_assets.query.model import QueryRequest
from kamu_assets.settings import SettingsError, load_settings
from tests.support.manifests import derivative, pushed_root, reading

ROOT = pushed_root("readings", reading("event_time TIMESTAMP", "v INT"))
DERIVATIVE = derivative("doubled", "select event_time, v * 2 as w from readings", "readings", engine="spark")


@contextmanager
def served(home: Path) -> Iterator[str]:
    """Its address."""
    command = [sys.executable, "-m", "kamu_api.cli.main", "engine", "serve", "--port", "0", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"listens on (\S+)", line)
        try:
            assert address, line
            yield address[1]
        finally:
            process.terminate()


def test_a_transform_runs_in_the_engine_that_the_settings_name(tmp_path: Path) -> None:
    with served(tmp_path / "engine") as address:
        settings = load_settings(tmp_path / "home", engine={"names": {"spark": f"grpc://{address}"}})
        with open_node(settings) as node:
            caller = node.auth.admin_caller()
            root = node.datasets.create_from_snapshot(caller, ROOT)
            derivative = node.datasets.create_from_snapshot(caller, DERIVATIVE)
            row = b'{"event_time": "2024-01-01T00:00:00Z", "v": 21}'
            node.coordinator.push(caller, root.id, PushData(row))

            result = node.coordinator.pull(caller, derivative.id)

            answer = node.query.query(caller, QueryRequest('select w from "kamu/doubled"'))
            rows = list(answer.rows())

    assert isinstance(result, Updated)
    assert result.records == 1
    assert rows == [{"w": 42}]


@pytest.mark.parametrize("value", ["grpc://", "grpc://host", "http://host:1", "host:2884", "grpc://host:port"])
def test_an_address_must_be_one(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match=r"engine\.names"):
        load_settings(tmp_path, engine={"names": {"spark": value}})
