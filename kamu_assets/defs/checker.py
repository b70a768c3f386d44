"""How the node checks what a dataset declares inside a Dagster run."""

import logging
from collections.abc import Mapping
from typing import Protocol

from kamu_assets.auth.model import Caller
from kamu_assets.defs.resources import CheckVerdict
from kamu_assets.errors import KamuError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.names import CHECK_QUALITY, METADATA_DATASET_ID, METADATA_HEAD
from kamu_assets.orchestration.reports.materialization import Shown
from kamu_assets.quality.results import CheckResult, Outcome, QualityReport


class Checks(Protocol):
    """The quality service, as far as runs need it."""

    def check(self, caller: Caller, ref: DatasetID) -> QualityReport: ...


class NodeChecker:
    """Checks as the node's administrator. A run that has brought data does not fail of what comes after it."""

    def __init__(self, *, quality: Checks, caller: Caller) -> None:
        self._quality = quality
        self._caller = caller

    def check(self, dataset: DatasetID, *, log: logging.Logger) -> Mapping[str, CheckVerdict]:
        """A verdict on each check that the dataset declares now; none where not even those can be told."""
        try:
            report = self._quality.check(self._caller, dataset)
        except KamuError as error:
            log.warning("its rows were not checked: %s", error)
            return {}
        except Exception:
            log.exception("its rows were not checked")
            return {}
        for result in report.results:
            if result.outcome is not Outcome.PASSED:
                level = logging.ERROR if result.is_wrong else logging.WARNING
                log.log(level, "%s: %s", result.check.name, result.message)
        return _verdicts(report)


def _verdicts(report: QualityReport) -> Mapping[str, CheckVerdict]:
    about: dict[str, Shown] = {
        METADATA_DATASET_ID: str(report.dataset.id),
        METADATA_HEAD: str(report.head),
        "duration_seconds": round(report.seconds, 3),
    }
    if report.problem is not None:
        outcome: dict[str, Shown] = {"outcome": Outcome.ERRORED.value}
        return {CHECK_QUALITY: CheckVerdict(False, report.problem, about | outcome, is_error=True)}
    return {result.check.name: _verdict(result, about) for result in report.results}


def _verdict(result: CheckResult, about: Mapping[str, Shown]) -> CheckVerdict:
    metadata: dict[str, Shown] = {**about, "outcome": result.outcome.value, "failed": result.tally.failed}
    if result.tally.offsets:
        # Rows are told by where they are: what is in them may be nobody's business.
        metadata["offsets"] = ", ".join(map(str, result.tally.offsets))
    passed = result.outcome is Outcome.PASSED
    return CheckVerdict(passed, result.message, metadata, is_error=result.check.is_error)
