"""What counts mean for a check. Pure."""

from kamu_assets.errors import KamuError
from kamu_assets.quality.declared import Check
from kamu_assets.quality.model import RowCountChange, Unique
from kamu_assets.quality.results import CheckResult, Outcome, Tally


def judged(check: Check, tally: Tally) -> CheckResult:
    """The verdict on rows that were counted."""
    if not tally.failed:
        return CheckResult(check, Outcome.PASSED, check.text, tally)
    what = "repeat another row" if isinstance(check.rule, Unique) else "break the rule"
    return CheckResult(check, Outcome.FAILED, f"{check.text}: {tally.failed:,} row(s) {what}", tally)


def judged_change(check: Check, rule: RowCountChange, change: int, *, first: int) -> CheckResult:
    """The verdict on the newest commit with records, which begin at an offset."""
    too_few = rule.min is not None and change < rule.min
    too_many = rule.max is not None and change > rule.max
    message = f"{check.text}: {change:+,}"
    if too_few or too_many:
        return CheckResult(check, Outcome.FAILED, message, Tally(broken=1, offsets=(first,)))
    return CheckResult(check, Outcome.PASSED, message)


def errored(check: Check, error: KamuError) -> CheckResult:
    """Nobody can tell, and why."""
    return CheckResult(check, Outcome.ERRORED, f"{check.text}: this cannot be checked: {error}")
