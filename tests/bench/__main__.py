"""`python -m tests.bench [--only WORKLOAD]`: measure, print one JSON line per measurement, fail on a broken limit."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Iterator, Sequence

from tests.bench import workloads
from tests.bench.measurement import Measurement
from tests.bench.report import report

GROUPS = {
    "ingest": ("w1", "w2", "w3", "w5", "w6"),
    "query": ("w8",),
    "transform": ("w7",),
    "verify": ("w10",),
    "chain": ("w12",),
    "process": ("w15",),
}


def main(arguments: Sequence[str]) -> int:
    names = known_workloads()
    groups = known_groups()
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", type=str.lower, choices=[*names, *groups], help="one workload, or one group of them")
    options = parser.parse_args(arguments)
    return report(measurements(groups.get(options.only, [options.only]) if options.only else names))


def known_workloads() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(workloads.__path__))


def known_groups() -> dict[str, list[str]]:
    """Names for several workloads at once, as far as there are any."""
    known = known_workloads()
    found = {group: [name for name in names if name in known] for group, names in GROUPS.items()}
    return {group: names for group, names in found.items() if names}


def measurements(names: Sequence[str]) -> Iterator[Measurement]:
    for name in names:
        yield from importlib.import_module(f"{workloads.__name__}.{name}").measure()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
