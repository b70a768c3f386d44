"""The first steps of a newcomer whose machine has neither a container runtime nor a network (KD-28)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.manifests import derivative, pushed_root, reading

ALONE = ("unshare", "--map-root-user", "--net")


def run(home: Path, *arguments: str) -> str:
    """A command in a network of its own, in which there is nothing, with a PATH on which there is nothing."""
    environment = {"KAMU_NODE_HOME": str(home), "PATH": str(home.parent / "nothing"), "COLUMNS": "200"}
    unshare = shutil.which(ALONE[0])
    assert unshare is not None
    done = subprocess.run(
        [unshare, *ALONE[1:], sys.executable, "-m", "kamu_api.cli.main", *arguments],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(
    shutil.which(ALONE[0]) is None or os.system(f"{' '.join(ALONE)} true") != 0,  # noqa: S605 - fixed words
    reason="this machine gives nobody a network of their own",
)
def test_everything_embedded_works_without_containers_and_network(tmp_path: Path) -> None:
    manifest = tmp_path / "cities.yaml"
    read = reading("id INT", "name STRING", kind="Csv", options="header: true")
    query = "select event_time, upper(name) as name from cities"
    manifest.write_text(pushed_root("cities", read) + "---\n" + derivative("loud", query, "cities"))
    (tmp_path / "rows.csv").write_text("id,name\n1,a\n2,b\n")
    home = tmp_path / "home"

    run(home, "add", str(manifest))
    run(home, "ingest", "cities", str(tmp_path / "rows.csv"))
    run(home, "pull", "loud")

    assert run(home, "sql", "-o", "csv", "select name from loud order by name") == "name\nA\nB\n"
    run(home, "verify", "cities", "loud")
