"""A whole node as `kamu-node up` starts it: how soon derivatives follow, how soon Dagster knows, what idling costs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.bench.measurement import Measurement
from tests.bench.node.catalog import datasets_visible
from tests.bench.node.idle import idle_costs
from tests.bench.node.push import push_to_derivative
from tests.bench.node.start import run_start, ui_run_start
from tests.support.running_node import running_node


def measure() -> Iterator[Measurement]:
    """Idling is measured after some work, so that it shows what a used node keeps."""
    with tempfile.TemporaryDirectory(prefix="kamu-bench-") as folder, running_node(Path(folder)) as node:
        yield push_to_derivative(node)
        yield from idle_costs(node)
        yield datasets_visible(node)
        yield run_start(node)
        yield from ui_run_start(node)
        yield from idle_costs(node, after="_with_1000")
