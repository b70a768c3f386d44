"""`python -m tests.conformance [--vectors FOLDER] [--recorded FOLDER]`: do we speak ODF as kamu does?

A folder given alone is run alone; without any, the reference vectors and recordings are.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.cases import Case, run_cases
from tests.conformance.exclusions import Exclusions
from tests.conformance.report import report
from tests.conformance.scenarios import scenario_cases
from tests.conformance.vectors import vector_cases
from tests.conformance.verdicts import verdict_cases
from tests.support.reference import reference_folder


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--vectors", type=Path, help="a folder of vector files")
    parser.add_argument("--recorded", type=Path, help="a folder of recorded scenarios")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that run cases")
    options = parser.parse_args(arguments)
    for folder in (options.vectors, options.recorded):
        if folder and not folder.is_dir():
            parser.error(f"{folder} is not a folder")
    exclusions = Exclusions.load()
    return report(run_cases(_cases(options.vectors, options.recorded, exclusions), exclusions, workers=options.workers))


def _cases(vectors: Path | None, recorded: Path | None, exclusions: Exclusions) -> Iterator[Case]:
    if vectors is None and recorded is None:
        reference = reference_folder()
        vectors, recorded = reference / "odf/vectors", reference / "odf/recorded"
    if vectors:
        yield from vector_cases(vectors)
    if recorded:
        yield from scenario_cases(recorded, exclusions)
        yield from verdict_cases(recorded)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
