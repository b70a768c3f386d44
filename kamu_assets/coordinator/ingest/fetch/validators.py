"""By what a web server recognizes a version of a resource (RFC 9110, 8.8), and what it means for a source."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import format_datetime, parsedate_to_datetime

from kamu_assets.odf.source import SourceState
from kamu_assets.odf.timestamp import InvalidTimestampError, Timestamp

POLLING_SOURCE = "default"
ETAG = "odf/etag"
LAST_MODIFIED = "odf/last-modified"
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class Validators:
    """Tag and date of an answer; where there is a tag, the date does not count."""

    etag: str | None = None
    last_modified: Timestamp | None = None

    @classmethod
    def of_answer(cls, headers: Mapping[str, str]) -> "Validators":
        """What the server says."""
        etag = headers.get("etag")
        return cls(etag) if etag else cls(last_modified=_date(headers.get("last-modified")))

    @classmethod
    def of_state(cls, state: SourceState | None) -> "Validators":
        """What the server said when the source was polled last."""
        if state is None:
            return cls()
        if state.kind == ETAG:
            return cls(state.value)
        return cls(last_modified=Timestamp.parse(state.value)) if state.kind == LAST_MODIFIED else cls()

    @property
    def state(self) -> SourceState | None:
        """What the source has to remember."""
        if self.etag is not None:
            return state_of(ETAG, self.etag)
        return None if self.last_modified is None else state_of(LAST_MODIFIED, str(self.last_modified))

    @property
    def conditions(self) -> dict[str, str]:
        """Headers that ask for the resource only if it is another version by now."""
        if self.etag is not None:
            # The state may be that of another source, such as a file name; not everything fits into a header.
            return {"if-none-match": self.etag} if _HEADER_VALUE.fullmatch(self.etag) else {}
        if self.last_modified is None:
            return {}
        moment = self.last_modified.to_datetime().replace(microsecond=0)
        return {"if-modified-since": format_datetime(moment, usegmt=True)}

    def may_be_those_of(self, headers: Mapping[str, str]) -> bool:
        """Whether an answer `not modified` can mean this version; tags compare weakly (RFC 9110, 8.8.3.2)."""
        other = headers.get("etag")
        return not (self.etag and other) or self.etag.removeprefix("W/") == other.removeprefix("W/")


def state_of(kind: str, value: str) -> SourceState:
    """The memory of a polling source."""
    return SourceState(source_name=POLLING_SOURCE, kind=kind, value=value)


def _date(text: str | None) -> Timestamp | None:
    try:
        return Timestamp.from_datetime(parsedate_to_datetime(text)) if text else None
    except (ValueError, TypeError, InvalidTimestampError):
        return None
