"""What came of checks."""

from dataclasses import dataclass
from enum import StrEnum

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.quality.declared import Check


class Outcome(StrEnum):
    """The rule is kept, is broken, or nobody can tell."""

    PASSED = "passed"
    FAILED = "failed"
    ERRORED = "errored"


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted of a rule from the first row on. Offsets only: values may be nobody's business."""

    # Rows that hold and break the rule, or commits that do.
    broken: int = 0
    # Rows among those counted that took others back.
    taken: int = 0
    # Where some of the broken rows are, newest first.
    offsets: tuple[int, ...] = ()
    # From which offset on commits were judged, for rules about commits.
    since: int = 0
    # When the newest block was made that there was: no commit that it knows is younger, however often it is rewritten.
    as_of: Timestamp | None = None

    @property
    def failed(self) -> int:
        """Rows that break the rule. Streams that retract what never was would count below nothing."""
        return max(0, self.broken)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of a check."""

    check: Check
    outcome: Outcome
    message: str
    tally: Tally = Tally()

    @property
    def is_wrong(self) -> bool:
        """Whether something is wrong, rather than worth a look."""
        return self.outcome is not Outcome.PASSED and self.check.is_error


@dataclass(frozen=True, slots=True)
class QualityReport:
    """What came of the checks of a dataset, as of a block."""

    dataset: DatasetEntry
    head: Multihash
    results: tuple[CheckResult, ...] = ()
    # Why the document with the rules cannot be read, if there is one that cannot.
    problem: str | None = None
    seconds: float = 0.0

    @property
    def is_fine(self) -> bool:
        """Whether nothing is wrong that is serious."""
        return self.problem is None and not any(result.is_wrong for result in self.results)
