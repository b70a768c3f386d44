"""What a process has counted goes to the next one in its place, if it ends in order.

Somebody who looks every half minute would not see the last of it. What is killed leaves nothing: its successor begins
at zero, which Prometheus knows as a reset, and what was counted after the last look is lost.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from kamu_assets.monitoring.families import Family, Sample, decode, encode

log = structlog.get_logger(__name__)

# Those that only grow.
_GROWING = ("counter", "histogram")

_Line = tuple[str, frozenset[tuple[str, str]]]


class Legacy:
    """The counts of those that were here before."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._before = _taken(file)

    def with_own(self, families: Iterable[Family]) -> list[Family]:
        """What this process has counted, and those before it."""
        own = list(families)
        names = {each.name for each in own}
        return [*(self._sum(each) for each in own), *(each for name, each in self._before.items() if name not in names)]

    def leave(self, families: Iterable[Family]) -> None:
        """For the next one; never in the way of an end."""
        counts = [each for each in self.with_own(families) if each.kind in _GROWING and each.samples]
        if not counts:
            return
        draft = self._file.with_suffix(".draft")
        try:
            draft.write_bytes(encode(counts))
            draft.replace(self._file)
        except OSError as error:
            log.warning("counts_not_left", reason=str(error))

    def _sum(self, own: Family) -> Family:
        before = self._before.get(own.name)
        return own if before is None else replace(own, samples=_sums(before.samples, own.samples))


def _taken(file: Path) -> dict[str, Family]:
    """Only once: whoever is killed must not make its successor count the same again."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        families = decode(file.read_bytes())
        os.unlink(file)  # noqa: PTH108 - fails if another had it first
        return {each.name: each for each in families}
    return {}


def _sums(before: Sequence[Sample], own: Sequence[Sample]) -> list[Sample]:
    lines: dict[_Line, Sample] = {}
    for one in (*before, *own):
        line = one.name, frozenset(one.labels.items())
        known = lines.get(line)
        lines[line] = one if known is None else replace(one, value=known.value + one.value)
    return list(lines.values())
