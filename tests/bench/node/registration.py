"""Registers datasets in a process of its own: `python -m tests.bench.node.registration HOME ROOTS`.

Prints, as JSON, how long it took, when it was done, and the name of each root and derivative with its identity.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from kamu_assets.node import open_node
from kamu_assets.odf.serde.yaml import parse_snapshot
from kamu_assets.settings import load_settings
from tests.bench.node.manifests import derivative, root


def main(home: str, roots: str) -> None:
    pairs = [(f"root{number:04d}", f"derived{number:04d}") for number in range(int(roots))]
    snapshots = [
        parse_snapshot(text) for name, follower in pairs for text in (root(name), derivative(follower, of=name))
    ]
    # Without syncing it is a burst: the catalog has the most to take in at once.
    with open_node(load_settings(Path(home), storage={"durability": "fast"})) as node:
        began = time.time()
        entries = node.datasets.create_all(node.auth.admin_caller(), snapshots)
        ended = time.time()
    datasets = {str(entry.name): str(entry.id) for entry in entries}
    print(json.dumps({"began": began, "ended": ended, "datasets": datasets}))


if __name__ == "__main__":
    main(*sys.argv[1:])
