"""What a person is told who starts a node where it cannot start."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.ports import free_ports
from tests.support.process_tree import stat_of
from tests.support.running_node import environment, running_node

COMMAND = (sys.executable, "-m", "kamu_api.cli.main")
PORTS = ("http.port", "dagster.webserver_port", "dagster.catalog_port", "dagster.flows_port")
PROCESSES = {"supervisor", "api", "scheduler", "worker", "catalog", "flows", "daemon", "webserver"}
# A command that answers one line has no use for any of these.
HEAVY = {"dagster", "pyarrow", "datafusion", "sqlalchemy", "pydantic", "fastapi", "polars", "numpy", "typer", "rich"}


def kamu_node(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], env=environment(), capture_output=True, text=True, check=False)


def write_settings(home: Path, **ports: int) -> None:
    """A home whose settings name these ports, and free ones for the rest."""
    chosen = dict(zip(PORTS, free_ports(len(PORTS)), strict=True)) | ports
    sections: dict[str, dict[str, int]] = {}
    for key, port in chosen.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = port
    home.mkdir(exist_ok=True)
    (home / "node.yaml").write_text(yaml.safe_dump(sections))


def test_a_second_node_in_the_same_home_is_refused_and_the_first_leaves_nothing_behind(tmp_path: Path) -> None:
    with running_node(tmp_path, storage={"durability": "fast"}) as node:
        node.all_pids()
        families = node.families()
        second = kamu_node("up", "--home", str(tmp_path))

        assert second.returncode == 1
        assert second.stdout == ""
        told = f"already running (process {node.supervisor.pid})"
        assert told in " ".join(second.stderr.split())
        assert "kamu-node down" in " ".join(second.stderr.split())
        assert node.request("GET", "/system/health").is_success

        assert kamu_node("down", "--home", str(tmp_path)).returncode == 0
        assert node.supervisor.wait(100) == 0
        assert node.pids() == {}
        assert set(families) == PROCESSES
        assert [pid for family in families.values() for pid in family if stat_of(pid)] == []
        assert "no node is running" in kamu_node("down", "--home", str(tmp_path)).stdout


@pytest.mark.parametrize("setting", PORTS)
def test_a_taken_port_is_named_with_its_setting(tmp_path: Path, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        write_settings(tmp_path / "home", **{setting: port})

        refused = kamu_node("up", "--home", str(tmp_path / "home"))

    said = " ".join(refused.stderr.split())
    assert refused.returncode == 1
    assert f"127.0.0.1:{port} is in use" in said
    assert f"`{setting}`" in said
    assert "Traceback" not in said


def test_every_mistake_in_the_settings_is_told_on_a_line_of_its_own(tmp_path: Path) -> None:
    text = "http: {port: 70000}\ndagster: {workers: none}\nstorage: {durability: sometimes}\nspeed: high\n"
    (tmp_path / "node.yaml").write_text(text)

    refused = kamu_node("up", "--home", str(tmp_path))

    lines = refused.stderr.splitlines()
    keys = {
        key for key in ("http.port", "dagster.workers", "storage.durability", "speed") for line in lines if key in line
    }
    assert refused.returncode == 1
    assert keys == {"http.port", "dagster.workers", "storage.durability", "speed"}
    assert len(lines) == len(keys)


def test_settings_that_are_not_yaml_are_told_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("http:\n  port: [1\n")

    refused = kamu_node("up", "--home", str(tmp_path))

    assert refused.returncode == 1
    assert "node.yaml" in "".join(refused.stderr.split())
    assert "line 3" in " ".join(refused.stderr.split())
    assert "Traceback" not in refused.stderr


def test_an_unknown_setting_in_the_environment_is_refused(tmp_path: Path) -> None:
    variables = {**environment(), "KAMU_NODE__HTPP__PORT": "1"}

    refused = subprocess.run(
        [*COMMAND, "up", "--home", str(tmp_path)], env=variables, capture_output=True, text=True, check=False
    )

    assert refused.returncode == 1
    assert "KAMU_NODE__HTPP__PORT" in refused.stderr


def test_the_version_is_told_without_loading_anything_heavy() -> None:
    code = "import json, sys; sys.argv[1:] = ['--version']; from kamu_api.cli.main import main; main()"
    loaded = "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"

    done = subprocess.run([sys.executable, "-c", f"{code}; {loaded}"], capture_output=True, text=True, check=True)

    version, modules = done.stdout.splitlines()
    assert version.startswith("kamu-node ")
    assert HEAVY.isdisjoint(json.loads(modules))
