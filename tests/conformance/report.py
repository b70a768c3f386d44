"""What a run tells: failures, exclusions, and one last line with the counts."""

from __future__ import annotations

from collections import Counter

from tests.conformance.cases import Result, Status


def report(results: list[Result]) -> int:
    """Print, and return the exit code: 1 on a failure, and when there was nothing to run."""
    for result in results:
        if result.status is Status.SKIPPED:
            print(f"SKIPPED {result.case.name}: {result.detail}")
    for result in results:
        if result.status is Status.FAILED:
            print(f"FAILED {result.case.name}: {result.detail}")
    count = Counter(result.status for result in results)
    print(f"{count[Status.PASSED]} passed, {count[Status.FAILED]} failed, {count[Status.SKIPPED]} skipped")
    return 1 if count[Status.FAILED] or not results else 0
