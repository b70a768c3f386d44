"""Times of places."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from kamu_assets.odf.timestamp import Timestamp

# A day from the ends of datetime: local time must fit in, too.
_FIRST_SECOND: Final = -62_135_510_400
_LAST_SECOND: Final = 253_402_214_399


def in_zone(nanos: int, zone: str) -> str:
    """Local time with its distance from UTC, in whole minutes."""
    seconds = _offset(nanos // 10**9, zone)
    local = str(Timestamp(nanos + seconds * 10**9))
    minutes = (abs(seconds) + 30) // 60
    return local if seconds == 0 else f"{local[:-1]}{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"


def _offset(seconds: int, zone: str) -> int:
    """How much later it is there."""
    place = datetime.fromisoformat(f"2000-01-01T00:00:00{zone}").tzinfo if zone[0] in "+-" else ZoneInfo(zone)
    # Beyond the years that Python knows, the rules of their ends hold.
    known = min(max(seconds, _FIRST_SECOND), _LAST_SECOND)
    local = datetime.fromtimestamp(known, tz=UTC).astimezone(place)
    return int((local.utcoffset() or timedelta()).total_seconds())
