"""How long a receiver wants to be left alone (RFC 9110, section 10.2.3): pure."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from kamu_assets.odf.timestamp import NANOS_PER_SECOND, Timestamp

# No receiver is left alone for longer, whatever it says.
MAX_SECONDS = 3_600


def retry_after(headers: Mapping[str, str], now: Timestamp) -> float | None:
    """Seconds; None where it does not say, or nothing that makes sense.

    A date is one of the receiver's clock, which its answer tells as well.
    """
    told = headers.get("retry-after", "")
    seconds = _number(told)
    if seconds is None and (until := _moment(told)) is not None:
        seconds = (until.ns - (_moment(headers.get("date", "")) or now).ns) / NANOS_PER_SECOND
    return min(seconds, MAX_SECONDS) if seconds is not None and seconds > 0 else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _moment(text: str) -> Timestamp | None:
    """An HTTP date in each of its three forms (RFC 9110, section 5.6.7)."""
    try:
        told: datetime = parsedate_to_datetime(text)
        return Timestamp.from_datetime(told.replace(tzinfo=told.tzinfo or UTC))
    except (ValueError, OverflowError, IndexError, TypeError):
        # Whatever it is, it is no date.
        return None
