"""Collects what is found, from many threads."""

import itertools
import threading
from enum import IntEnum

from kamu_assets.coordinator.verify.model import Counts, Fault, OnProgress, Remark, VerifyProgress
from kamu_assets.errors import InvalidError

# A dataset that is all wrong need not be told block by block.
_MAX_KEPT = 100


class FaultFoundError(InvalidError):
    """Ends a walk that cannot go on behind a bad object."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class Stage(IntEnum):
    """What is told first."""

    METADATA = 0
    DATA = 1
    RESULT = 2


class Findings:
    """Faults, remarks, counts and progress of one verification; safe for many threads."""

    def __init__(self, *, blocks_total: int, bytes_total: int, on_progress: OnProgress | None) -> None:
        self._lock = threading.Lock()
        self._order = itertools.count()
        self._faults: list[tuple[Stage, int, int, Fault]] = []
        self._remarks: list[tuple[int, int, Remark]] = []
        self._on_progress = on_progress
        self._blocks_total = blocks_total
        self._bytes_total = bytes_total
        self._counts = {"blocks": 0, "slices": 0, "records": 0, "bytes": 0, "replays": 0}

    def add(self, stage: Stage, found: Fault | Remark) -> None:
        """Keep what was found; the last of very many are dropped."""
        with self._lock:
            at = -1 if found.place.sequence_number is None else found.place.sequence_number
            if isinstance(found, Remark):
                self._remarks = sorted([*self._remarks, (at, next(self._order), found)])[:_MAX_KEPT]
            else:
                self._faults = sorted([*self._faults, (stage, at, next(self._order), found)])[:_MAX_KEPT]

    def count(self, **more: int) -> None:
        """Add to counts of blocks, slices, records, bytes, replays, and tell who listens."""
        with self._lock:
            for name, value in more.items():
                self._counts[name] += value
            if self._on_progress is not None:
                self._on_progress(self._progress())

    def has_faults(self) -> bool:
        """Whether anything is wrong so far."""
        with self._lock:
            return bool(self._faults)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Blocks before data before results, and in the order of the chain."""
        return tuple(fault for *_, fault in self._faults)

    @property
    def remarks(self) -> tuple[Remark, ...]:
        """In the order of the chain."""
        return tuple(remark for *_, remark in self._remarks)

    @property
    def counts(self) -> Counts:
        """What was looked at."""
        return Counts(**self._counts)

    def _progress(self) -> VerifyProgress:
        return VerifyProgress(
            blocks_done=self._counts["blocks"],
            blocks_total=self._blocks_total,
            bytes_done=self._counts["bytes"],
            bytes_total=max(self._bytes_total, self._counts["bytes"]),
            replays_done=self._counts["replays"],
        )
