"""What is kept of a query."""

from dataclasses import dataclass
from enum import StrEnum

from kamu_assets.errors import InvalidError, NotFoundError
from kamu_assets.odf.identity import AccountID
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.query.model import PinnedDataset


class Door(StrEnum):
    """Through which somebody asked."""

    REST_QUERY = "rest/query"
    REST_TAIL = "rest/tail"
    REST_VERIFY = "rest/verify"
    CLI_SQL = "cli/sql"
    CLI_TAIL = "cli/tail"
    CLI_EXPORT = "cli/export"
    # The node itself.
    NODE = "node"


class QueryState(StrEnum):
    """How it goes, or went."""

    RUNNING = "RUNNING"
    OK = "OK"
    # Not begun: no query, a page that cannot be, or too many before it.
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    # By whoever asked, or by an operator.
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"
    # Its process ended without a word.
    LOST = "LOST"


_ENDED = {
    QueryState.REFUSED: "was refused",
    QueryState.FAILED: "has failed",
    QueryState.CANCELLED: "was cancelled",
    QueryState.TIMED_OUT: "has timed out",
    QueryState.LOST: "is lost, with its process",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a query comes from; `request` is the id that the log of the node has, too."""

    door: Door
    request: str | None = None


BY_ITSELF = Origin(Door.NODE)


@dataclass(frozen=True, slots=True)
class QueryRecord:
    """A query that has ended, or runs for a while already."""

    id: str
    account: AccountID | None
    origin: Origin
    # The beginning of a long one; None for the newest rows of a dataset, which nobody asks for in SQL.
    sql: str | None
    sql_length: int
    datasets: tuple[PinnedDataset, ...]
    started_at: Timestamp
    # When it was last known to run, or its end.
    seen_at: Timestamp
    finished_at: Timestamp | None
    waited_seconds: float
    # Of the answer; while files are written, so far.
    rows: int
    bytes: int
    peak_bytes: int
    state: QueryState
    error: str | None = None
    message: str | None = None

    @property
    def seconds(self) -> float:
        """From when it came, waiting included; so far, if it runs."""
        return max(0, self.seen_at.ns - self.started_at.ns) / 1e9


class QueryNotFoundError(NotFoundError):
    """No such query, as far as the caller may know."""

    def __init__(self, query: str) -> None:
        super().__init__(f"query {query} is not in the history (setting query.keep_days)")
        self.query = query


class QueryEndedError(InvalidError):
    """There is nothing to cancel."""

    def __init__(self, query: str, state: QueryState) -> None:
        super().__init__(f"query {query} does not run: it {_ENDED.get(state, 'has ended')}")
        self.query = query
        self.state = state
