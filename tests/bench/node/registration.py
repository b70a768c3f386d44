"""Registers datasets in a process of its own: `python -m tests.bench.node.registration HOME FIRST ROOTS`.

Prints, as JSON, when it began, when it was done, and the names.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kamu_assets.node import open_node
from kamu_assets.odf.serde.yaml import parse_snapshot
from kamu_assets.settings import load_settings
from tests.bench.node.manifests import derivative, root
from tests.support.running_node import RunningNode, environment


@dataclass(frozen=True, slots=True)
class Registered:
    """What was registered, and when by the machine's clock."""

    began: float
    ended: float
    datasets: Sequence[str]


def register(running: RunningNode, *, first: int, roots: int) -> Registered:
    """So many roots, each with a derivative, numbered from `first`."""
    command = [sys.executable, "-m", "tests.bench.node.registration", str(running.home), str(first), str(roots)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
    registered = Registered(**json.loads(done.stdout))
    assert len(registered.datasets) == 2 * roots
    return registered


def main(home: str, first: str, roots: str) -> None:
    numbers = range(int(first), int(first) + int(roots))
    pairs = [(f"root{number:04d}", f"derived{number:04d}") for number in numbers]
    snapshots = [
        parse_snapshot(text) for name, follower in pairs for text in (root(name), derivative(follower, of=name))
    ]
    # Without syncing it is a burst: the catalog has the most to take in at once.
    with open_node(load_settings(Path(home), storage={"durability": "fast"})) as node:
        began = time.time()
        entries = node.datasets.create_all(node.auth.admin_caller(), snapshots)
        ended = time.time()
    print(json.dumps(asdict(Registered(began, ended, [str(entry.name) for entry in entries]))))


if __name__ == "__main__":
    main(*sys.argv[1:])
