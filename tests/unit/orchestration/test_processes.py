"""The supervisor learns from here what to start, and must stay light."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.processes import TEMPLATES, dagster_commands

CONFIG = AdapterConfig(dagster_home=Path("/home/dagster"), run_directory=Path("/home/run"), database_url="sqlite://")


def test_every_process_has_a_name_of_its_own() -> None:
    names = [command.name for command in dagster_commands(replace(CONFIG, workers=3))]

    assert names == ["scheduler", "worker-1", "worker-2", "worker-3", "catalog", "flows", "daemon", "webserver"]


def test_every_process_knows_the_instance() -> None:
    assert {command.env["DAGSTER_HOME"] for command in dagster_commands(CONFIG)} == {"/home/dagster"}


def test_asking_for_commands_loads_nothing_heavy() -> None:
    code = (
        "import sys, kamu_assets.orchestration.processes, kamu_assets.node, kamu_assets.flows.scheduling.scheduler;"
        "print([name for name in ('dagster', 'pyarrow', 'datafusion') if name in sys.modules])"
    )

    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert output.strip() == "[]"


def test_who_only_hands_jobs_to_workers_loads_no_engine() -> None:
    code = (
        "import sys, kamu_api.serving, kamu_assets.coordinator.service, kamu_assets.engines.pooled;"
        "print([name for name in ('dagster', 'pyarrow', 'datafusion', 'numpy') if name in sys.modules])"
    )

    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert output.strip() == "[]"


@pytest.mark.parametrize("name", sorted(path.name for path in TEMPLATES.glob("*.yaml")))
def test_templates_are_yaml(name: str) -> None:
    assert isinstance(yaml.safe_load((TEMPLATES / name).read_text()), dict)
