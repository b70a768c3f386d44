"""What a measurement says, and whether its limit holds."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench.versions import versions

# Load average per core above which neighbours may spoil what a clock says.
NOISY_LOAD = 1.5

Detail = float | int | str | None | Mapping[str, Any] | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Machine:
    """How busy the machine was before a job."""

    load_per_core: float

    @classmethod
    def now(cls) -> Machine:
        return cls(os.getloadavg()[0] / (os.cpu_count() or 1))

    @property
    def is_noisy(self) -> bool:
        return self.load_per_core > NOISY_LOAD


@dataclass(frozen=True, slots=True)
class Measurement:
    """One figure, where less is better. Without a limit it informs."""

    workload: str
    value: float
    unit: str
    machine: Machine
    limit: float | None = None
    # Processor time and memory hardly depend on neighbours: they are judged on a noisy machine too.
    by_clock: bool = True
    # Why there is no figure: what to compare with is not installed, or a job gave a wrong result.
    missing: str | None = None
    failure: str | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)

    @property
    def within_guard(self) -> bool | None:
        """None without a limit or a figure."""
        return None if self.limit is None or not self.has_value else self.value <= self.limit

    @property
    def has_value(self) -> bool:
        return self.missing is None and self.failure is None

    @property
    def is_noisy(self) -> bool:
        return self.machine.is_noisy

    @property
    def fails(self) -> bool:
        """Whether a job failed, or the limit is broken and nobody else is to blame."""
        return self.failure is not None or (self.within_guard is False and not (self.is_noisy and self.by_clock))

    def document(self) -> dict[str, Any]:
        """The measurement as one JSON object."""
        reasons = {"missing": self.missing, "failure": self.failure}
        return {
            "workload": self.workload,
            "value": _rounded(self.value) if self.has_value else None,
            "unit": self.unit,
            "limit": self.limit,
            "within_guard": self.within_guard,
            "noisy": self.is_noisy,
            "load_per_core": _rounded(self.machine.load_per_core),
            **{key: reason for key, reason in reasons.items() if reason is not None},
            **{key: _rounded(value) for key, value in self.details.items()},
            "versions": versions(),
        }


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that is not exceeded by this share of them (nearest rank)."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(samples: Sequence[float]) -> dict[str, Detail]:
    """What to tell beside a median."""
    return {
        "samples": len(samples),
        "min": min(samples),
        "p95": percentile(samples, 0.95),
        "max": max(samples),
    }


def median_of(
    workload: str, samples: Sequence[float], *, machine: Machine, limit: float | None = None, **details: Detail
) -> Measurement:
    """The median of times in seconds."""
    return Measurement(
        workload,
        statistics.median(samples),
        "s",
        machine,
        limit=limit,
        details={**spread(samples), **details},
    )


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return round(value, 4)
        case Mapping():
            return {key: _rounded(item) for key, item in value.items()}
        case str():
            return value
        case Sequence():
            return [_rounded(item) for item in value]
    return value
