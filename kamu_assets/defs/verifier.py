"""How the node verifies a dataset inside a Dagster run."""

import logging
from functools import partial
from typing import Protocol

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.verify.model import Fault, VerificationReport, VerifyOptions, VerifyProgress
from kamu_assets.defs.progress import ProgressLog
from kamu_assets.defs.resources import Verdict
from kamu_assets.flows.achievements import Achieved, tell_nobody
from kamu_assets.flows.results import Verified
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.names import METADATA_DATASET_ID, METADATA_HEAD
from kamu_assets.orchestration.reports.materialization import Shown

_SHOWN = 20


class Verifies(Protocol):
    """The coordinator, as far as checks need it."""

    def verify(
        self, caller: Caller, dataset: DatasetID, options: VerifyOptions | None = None
    ) -> VerificationReport: ...


class NodeVerifier:
    """Verifies through the coordinator, as the node's administrator."""

    def __init__(self, *, coordinator: Verifies, caller: Caller, achieved: Achieved = tell_nobody) -> None:
        self._coordinator = coordinator
        self._caller = caller
        self._achieved = achieved

    def verify(self, dataset: DatasetID, *, run_id: str, log: logging.Logger) -> Verdict:
        """The whole dataset; what is wrong goes to the log, the first bad object to the result."""
        report = self._coordinator.verify(
            self._caller, dataset, VerifyOptions(on_progress=partial(_tell, ProgressLog(log)))
        )
        for fault in report.faults[:_SHOWN]:
            log.error("%s", fault)
        for remark in report.remarks[:_SHOWN]:
            log.warning("%s", remark)
        found = Verified(report.verdict.value, report.counts.blocks, len(report.faults), len(report.remarks))
        self._achieved(run_id, dataset, found)
        first = report.first_fault
        return Verdict(report.is_valid, str(first) if first else "valid", _metadata(report))


def _tell(progress: ProgressLog, now: VerifyProgress) -> None:
    counts = (now.blocks_done, now.blocks_total, now.bytes_done, now.bytes_total)
    progress.tell("%s of %s blocks, %s of %s bytes", *counts)


def _metadata(report: VerificationReport) -> dict[str, Shown]:
    counts = report.counts
    metadata: dict[str, Shown] = {
        METADATA_DATASET_ID: str(report.dataset.id),
        METADATA_HEAD: str(report.head),
        "verdict": report.verdict.value,
        "blocks": counts.blocks,
        "slices": counts.slices,
        "records": counts.records,
        "bytes": counts.bytes,
        "results_computed_again": counts.replays,
        "faults": len(report.faults),
        "remarks": len(report.remarks),
        "duration_seconds": round(report.seconds, 3),
    }
    return metadata | (_first_fault(report.faults[0]) if report.faults else {})


def _first_fault(fault: Fault) -> dict[str, Shown]:
    facts = {
        "bad_block": fault.place.block,
        "bad_block_number": fault.place.sequence_number,
        "bad_file": fault.place.file,
        "expected": fault.expected,
        "found": fault.found,
    }
    return {name: fact if isinstance(fact, int) else str(fact) for name, fact in facts.items() if fact is not None}
