"""Command line of the verifier: one line per dataset, exit 1 if one is not sound or none was found."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.verifier.dataset import Verdict, verify
from tests.support.verifier.faults import FaultError
from tests.support.verifier.recordings import datasets, verify_recorded


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.support.verifier", description=__doc__)
    parser.add_argument("dataset", nargs="*", type=Path, help="a dataset directory")
    parser.add_argument("--walk", action="append", type=Path, default=[], help="verify every dataset below this folder")
    parser.add_argument("--recorded", action="append", type=Path, default=[], help="the same for recorded scenarios")
    options = parser.parse_args(arguments)
    sound = [report(path, verify) for path in options.dataset]
    sound += [report(path, verify) for root in options.walk for path in datasets(root)]
    sound += [report(path, verify_recorded) for root in options.recorded for path in datasets(root)]
    print(f"{sum(sound)} sound, {len(sound) - sum(sound)} bad")
    return 0 if sound and all(sound) else 1


def report(path: Path, check: Callable[[Path], Verdict]) -> bool:
    try:
        verdict = check(path)
    except FaultError as fault:
        print(f"{path}: BAD {fault}")
        return False
    print(f"{path}: OK, {verdict.blocks} blocks, {verdict.slices} slices, {verdict.records} records")
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
