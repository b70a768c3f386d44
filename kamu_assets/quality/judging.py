"""What counts mean for a check. Pure."""

from kamu_assets.errors import KamuError
from kamu_assets.quality.counting import Changes
from kamu_assets.quality.declared import Check
from kamu_assets.quality.model import Unique
from kamu_assets.quality.results import CheckResult, Outcome, Tally


def judged(check: Check, tally: Tally) -> CheckResult:
    """The verdict on rows that were counted."""
    if not tally.failed:
        return CheckResult(check, Outcome.PASSED, check.text, tally)
    what = "repeat another row" if isinstance(check.rule, Unique) else "break the rule"
    return CheckResult(check, Outcome.FAILED, f"{check.text}: {tally.failed:,} row(s) {what}", tally)


def judged_changes(check: Check, changes: Changes, *, since: int) -> CheckResult:
    """The verdict on commits, of which the first begins at an offset."""
    tally = Tally(changes.broken, offsets=changes.offsets, since=since)
    if changes.commits == 0:
        return CheckResult(check, Outcome.PASSED, f"{check.text}: no commits", tally)
    message = f"{check.text}: {_span(changes)}"
    if not changes.broken:
        return CheckResult(check, Outcome.PASSED, message, tally)
    if changes.commits > 1:
        message = f"{message}; {changes.broken:,} of {changes.commits:,} commits break the rule"
    return CheckResult(check, Outcome.FAILED, message, tally)


def _span(changes: Changes) -> str:
    low, high = f"{changes.low:+,}", f"{changes.high:+,}"
    return low if low == high else f"{low} to {high}"


def without_columns(check: Check) -> CheckResult:
    """The verdict on a dataset into which nothing was ever pulled or pushed: the rule may name what will not be."""
    return CheckResult(check, Outcome.PASSED, f"{check.text}: there are no rows yet, so its columns are not known")


def errored(check: Check, error: KamuError) -> CheckResult:
    """Nobody can tell, and why."""
    return CheckResult(check, Outcome.ERRORED, f"{check.text}: this cannot be checked: {error}")
