"""Many moments as texts at once, in a tenth of the time."""

import re
from typing import Final

import numpy as np
import pyarrow as pa

from kamu_assets.odf.timestamp import Timestamp

NANOS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
# What NumPy writes as people do: from 1970 to the end of the year 9999.
_END_OF_YEARS: Final = 253_402_300_800
_NEEDLESS: Final = re.compile(r"\.?(?:000)+$")


def moment_texts(array: pa.Array) -> list[str | None]:
    """Timestamps as `Timestamp` writes them: RFC 3339 with `Z`, fractions of 0, 3, 6 or 9 digits."""
    numbers, unit = array.view(pa.int64()), array.type.unit
    filled = numbers.fill_null(0).to_numpy(zero_copy_only=False)
    if len(filled) and (filled.min() < 0 or int(filled.max()) * NANOS[unit] >= _END_OF_YEARS * NANOS["s"]):
        return [None if number is None else str(Timestamp(number * NANOS[unit])) for number in numbers.to_pylist()]
    written = np.datetime_as_string(filled.view(f"datetime64[{unit}]")).tolist()
    texts: list[str | None] = [_NEEDLESS.sub("", text) + "Z" for text in written]
    if array.null_count == 0:
        return texts
    return [text if is_valid else None for text, is_valid in zip(texts, array.is_valid().to_pylist(), strict=True)]
