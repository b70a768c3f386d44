"""Goes through the checks of a dataset: one that cannot be judged keeps no other from it."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from kamu_assets.errors import KamuError
from kamu_assets.quality.counting import Begun, Counting
from kamu_assets.quality.declared import Check
from kamu_assets.quality.judging import errored, judged, judged_changes
from kamu_assets.quality.model import NotNull, Range, RowCountChange, Unique
from kamu_assets.quality.results import CheckResult

_ByRow = tuple[Check, NotNull | Range]


class Checking:
    """Of one dataset at one block."""

    def __init__(self, counting: Counting, begun: Mapping[str, Begun]) -> None:
        self._counting = counting
        self._begun = begun

    def results(self, checks: Sequence[Check]) -> Sequence[CheckResult]:
        """In the order of the checks."""
        found: dict[str, CheckResult] = {}
        for group in self._passes(checks):
            found |= {result.check.name: result for result in self._together(group)}
        for check in checks:
            if check.name not in found:
                found[check.name] = self._alone(check)
        return [found[check.name] for check in checks]

    def _passes(self, checks: Sequence[Check]) -> Iterator[Sequence[_ByRow]]:
        """Rules about single rows, by the offset from which on they are to be counted."""
        groups: defaultdict[int, list[_ByRow]] = defaultdict(list)
        for check in checks:
            if isinstance(check.rule, NotNull | Range) and not self._counting.needs_pairs(check.rule):
                groups[self._begun[check.name].first].append((check, check.rule))
        yield from groups.values()

    def _together(self, group: Sequence[_ByRow]) -> Sequence[CheckResult]:
        begun = [self._begun[check.name] for check, _ in group]
        try:
            tallies = self._counting.by_row([rule for _, rule in group], begun)
        except KamuError as error:
            if len(group) == 1:
                return [errored(group[0][0], error)]
            # One of them does not fit the dataset: the others do.
            return [result for each in group for result in self._together([each])]
        return [judged(check, tally) for (check, _), tally in zip(group, tallies, strict=True)]

    def _alone(self, check: Check) -> CheckResult:
        try:
            match check.rule:
                case RowCountChange() as rule:
                    since = self._counting.first_commit(self._begun[check.name])
                    return judged_changes(check, self._counting.changes(rule, first=since), since=since)
                case Unique() as rule if not self._counting.needs_pairs(rule):
                    return judged(check, self._counting.unique(rule, self._begun[check.name]))
                case rule:
                    return judged(check, self._counting.in_pairs(rule, self._begun[check.name]))
        except KamuError as error:
            return errored(check, error)
