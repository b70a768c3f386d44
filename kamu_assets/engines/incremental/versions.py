"""A table that changes over time: for each key its versions, and which one was valid when (SQL:2011, FOR SYSTEM_TIME).

Every record of the input is a version of its key from its event time on; of two at one time the later offset counts.
Appended and corrected-to records say what the row is, others that there is none. A record that came after its event
time, which is usual for retractions as they repeat the time of what they retract, counts since the watermark before
its block: rows before that may have met another version already. As in Flink it does not override newer versions.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kamu_assets.odf.data import OperationType

Numbers = npt.NDArray[np.int64]
NO_VERSION = -1
_SETS = (OperationType.APPEND, OperationType.CORRECT_TO)


class Versions:
    """Versions in offset order: their keys, event times, operations, and since when they count."""

    def __init__(self, keys: Sequence[pa.ChunkedArray], times: Numbers, operations: Numbers, *, since: Numbers) -> None:
        self._sets = np.isin(operations, [int(one) for one in _SETS])
        self._codebook = _Codebook([key.combine_chunks() for key in keys])
        self._codes = self._codebook.codes([key.combine_chunks() for key in keys])
        self._times, self._since = times, since
        self._moments = np.unique(since)
        # By key, then time; the sort is stable, so that of equal ones the later offset comes last.
        self._order = np.argsort(self._place(self._codes, since, side="left"), kind="stable")
        self._places = self._place(self._codes, since, side="left")[self._order]

    def came_too_late(self) -> npt.NDArray[np.bool_]:
        """Which versions nothing can meet, as a newer one was known when they came; those are to be left out."""
        result = self._since > self._times
        if not result.any():
            return result
        ranks = np.searchsorted(np.unique(self._times), self._times)
        places = (self._codes * np.int64(len(ranks) + 1) + ranks)[self._order]
        newest = np.maximum.accumulate(places)
        result[self._order] &= (newest > places) | (self._codes[self._order] < 0)
        return result

    def valid_at(self, keys: Sequence[pa.ChunkedArray], times: Numbers) -> Numbers:
        """For each key and time the row of the version valid then, or `NO_VERSION`."""
        codes = self._codebook.codes([key.combine_chunks() for key in keys])
        if not self._order.size:
            return np.full(len(times), NO_VERSION, np.int64)
        # The place just after all versions of the key up to that time.
        wanted = self._place(codes, times, side="right") - 1
        found = np.searchsorted(self._places, wanted, side="right") - 1
        row = self._order[np.maximum(found, 0)]
        fits = (found >= 0) & (codes >= 0) & (self._codes[row] == codes) & self._sets[row]
        return np.where(fits, row, NO_VERSION)

    def needed_from(self, moment: int) -> npt.NDArray[np.bool_]:
        """Which versions can still be valid at `moment` or later: the one valid then, and all after it.

        That there is none is kept as well: what comes late must not bring a key back that was deleted after it.
        """
        ordered_codes, ordered_since = self._codes[self._order], self._since[self._order]
        is_past = ordered_since <= moment
        followed = np.zeros(len(is_past), np.bool_)
        followed[:-1] = (ordered_codes[1:] == ordered_codes[:-1]) & is_past[1:]
        keep = (ordered_codes >= 0) & ~(is_past & followed)
        result = np.zeros(len(keep), np.bool_)
        result[self._order] = keep
        return result

    def _place(self, codes: Numbers, times: Numbers, *, side: str) -> Numbers:
        ranks = np.searchsorted(self._moments, times, side="left" if side == "left" else "right")
        found: Numbers = codes * np.int64(len(self._moments) + 1) + ranks
        return found


class _Codebook:
    """One number for each combination of keys that has a version."""

    def __init__(self, keys: Sequence[pa.Array]) -> None:
        self._values = [pc.unique(key.drop_null()) for key in keys]
        # After each column the combinations so far, so that numbers stay as small as there are versions.
        self._combinations: list[Numbers] = []
        for count in range(1, len(keys) + 1):
            mixed = self._mixed(keys[:count])
            self._combinations.append(np.unique(mixed[mixed >= 0]))

    def codes(self, keys: Sequence[pa.Array]) -> Numbers:
        """Negative when a key is null or the combination has no version at all."""
        return _places(self._mixed(keys), self._combinations[len(keys) - 1])

    def _mixed(self, keys: Sequence[pa.Array]) -> Numbers:
        *before, last = keys
        values = self._values[len(before)]
        found = pc.fill_null(pc.index_in(last, value_set=values, skip_nulls=True), -1)
        code: Numbers = found.to_numpy(zero_copy_only=False).astype(np.int64)
        if not before:
            return code
        first = self.codes(before)
        return np.where((first < 0) | (code < 0), np.int64(-1), first * len(values) + code)


def _places(numbers: Numbers, known: Numbers) -> Numbers:
    """Where each number is in `known`, which is sorted; -1 if it is not."""
    if not known.size:
        return np.full(len(numbers), -1, np.int64)
    place = np.minimum(np.searchsorted(known, numbers), known.size - 1)
    return np.where(known[place] == numbers, place, np.int64(-1))
