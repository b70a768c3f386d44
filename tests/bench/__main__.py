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


def main(arguments: Sequence[str]) -> int:
    names = known_workloads()
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--only", type=str.lower, choices=names, help="one workload, or one group of them")
    options = parser.parse_args(arguments)
    return report(measurements([options.only] if options.only else names))


def known_workloads() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(workloads.__path__))


def measurements(names: Sequence[str]) -> Iterator[Measurement]:
    for name in names:
        yield from importlib.import_module(f"{workloads.__name__}.{name}").measure()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
