"""What an error means for the query that it ended."""

from kamu_assets.engines.sql.errors import StatementNotAllowedError
from kamu_assets.engines.workers.limits import JobCancelledError, PoolBusyError, PoolClosedError, TimeLimitError
from kamu_assets.errors import DeniedError, KamuError
from kamu_assets.query.errors import InvalidPageError
from kamu_assets.query.history.model import QueryState

_REFUSED = (StatementNotAllowedError, PoolBusyError, PoolClosedError, InvalidPageError, DeniedError)


def state_after(error: BaseException | None) -> QueryState:
    """How a query ended that raised this, or nothing."""
    match error:
        case None:
            return QueryState.OK
        case JobCancelledError():
            return QueryState.CANCELLED
        case TimeLimitError():
            return QueryState.TIMED_OUT
        case _:
            return QueryState.REFUSED if isinstance(error, _REFUSED) else QueryState.FAILED


def told_of(error: BaseException | None) -> tuple[str | None, str | None]:
    """The kind of an error and its words; of a bug the log has the words."""
    if error is None:
        return None, None
    return (type(error).__name__, str(error)) if isinstance(error, KamuError) else ("bug", None)
