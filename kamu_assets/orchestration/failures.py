"""Why a run failed, in one line, and at length where nobody expected it."""

import sys
from collections.abc import Iterator

from dagster import DagsterInstance
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster_shared.error import SerializableErrorInfo
from sqlalchemy.exc import InterfaceError, OperationalError, PendingRollbackError

from kamu_assets.coordinator.errors import InvalidInputIntervalError
from kamu_assets.coordinator.ingest.errors import BadArchiveError, BadInputError
from kamu_assets.database.errors import DatabaseUnavailableError
from kamu_assets.datasets.errors import AlreadyHeadError, NewHeadNotFoundError
from kamu_assets.errors import InvalidError, KamuError
from kamu_assets.monitoring.secrets import without_secrets
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.names import CHECK_VERIFY, METADATA_RETRY_AFTER
from kamu_assets.webhooks.errors import UnreadableSecretError

_LONGEST = 2000
# What Dagster's storages raise goes through SQLAlchemy only. The last of them follows one that somebody has caught.
_OUTAGES = (DatabaseUnavailableError, OperationalError, InterfaceError, PendingRollbackError)

# What is wrong with the work itself stays wrong; a file that cannot be read may be replaced by one that can.
_LASTING = (InvalidError, NewHeadNotFoundError, AlreadyHeadError)
_PASSING = (BadInputError, BadArchiveError)


def failure_of(instance: DagsterInstance, run_id: str) -> DagsterEvent | None:
    """The first step's failure, else the run's own."""
    for kind in (DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE):
        for record in instance.get_records_for_run(run_id, of_type=kind, limit=1).records:
            if (event := record.event_log_entry.dagster_event) is not None:
                return event
    return None


def message_of(event: DagsterEvent) -> str:
    """Our own error's words: a user cares for them, not for Dagster's wrapping, nor for what a driver said."""
    error = _telling(event)
    text = _words(error) if error is not None else event.message or "the run failed"
    # Before it is cut: half a secret would not be found.
    return without_secrets(text)[:_LONGEST]


def traceback_of(event: DagsterEvent) -> str | None:
    """Where a bug is; None for expected failures, whose message says all."""
    error = _telling(event)
    if error is None or _is_a((KamuError,), error):
        return None
    return "".join(error.stack) + error.message.strip()


def fault_in(event: DagsterEvent) -> str | None:
    """What is wrong with a dataset, if the event tells that it was verified and something is."""
    if event.event_type is not DagsterEventType.ASSET_CHECK_EVALUATION:
        return None
    found = event.asset_check_evaluation_data
    return None if found.passed or found.check_name != CHECK_VERIFY else found.description or "it is not valid"


def _telling(event: DagsterEvent) -> SerializableErrorInfo | None:
    """The outermost error of ours, else the innermost of all."""
    chain = list(_chain(event))
    ours = (error for error in chain if _is_a((KamuError,), error))
    return next(ours, chain[-1] if chain else None)


def _chain(event: DagsterEvent) -> Iterator[SerializableErrorInfo]:
    error = _error(event)
    while error is not None:
        yield error
        error = error.cause


def is_interrupt(event: DagsterEvent) -> bool:
    """Whether the work was stopped from outside: canceled, or over its time."""
    return any(_is_a((DagsterExecutionInterruptedError,), error) for error in _chain(event))


def is_outage(event: DagsterEvent) -> bool:
    """Whether the node's database, or Dagster's, was away: the same work may succeed when it is back."""
    return any(_is_a(_OUTAGES, error) for error in _chain(event))


def is_recoverable(event: DagsterEvent | None) -> bool:
    """Whether the same work may succeed another time."""
    error = _telling(event) if event is not None else None
    return error is None or not _is_a(_LASTING, error) or _is_a(_PASSING, error)


def is_by_node(event: DagsterEvent) -> bool:
    """Whether the node alone is to blame: nobody else can do anything about it."""
    error = _telling(event)
    return error is not None and _is_a((UnreadableSecretError,), error)


def rewritten_input_of(event: DagsterEvent) -> DatasetID | None:
    """The input that was reset or compacted since it was read, if that is what happened."""
    error = _telling(event)
    if error is None or not _is_a((InvalidInputIntervalError,), error):
        return None
    return InvalidInputIntervalError.dataset_in(error.message)


def retry_after_in(event: DagsterEvent) -> float | None:
    """Seconds that whoever was asked wants to be left alone, as the failure of a step says."""
    if event.event_type is not DagsterEventType.STEP_FAILURE:
        return None
    told = event.step_failure_data.user_failure_data
    found = told.metadata.get(METADATA_RETRY_AFTER) if told is not None else None
    return None if found is None else float(str(found.value))


def is_recoverable_error(error: BaseException) -> bool:
    """The same of an error that was not told as an event."""
    return not isinstance(error, _LASTING) or isinstance(error, _PASSING)


def is_outage_error(error: BaseException) -> bool:
    """The same of an error that was not told as an event."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _OUTAGES):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _is_a(families: tuple[type[BaseException], ...], error: SerializableErrorInfo) -> bool:
    module, _, name = error.message.strip().partition(":")[0].rpartition(".")
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and issubclass(kind, families)


def _words(error: SerializableErrorInfo) -> str:
    """What the error says, without the Python name before it."""
    text = error.message.strip()
    name, colon, words = text.partition(": ")
    return words if colon and name.rpartition(".")[2] == error.cls_name else text


def _error(event: DagsterEvent) -> SerializableErrorInfo | None:
    if event.event_type is DagsterEventType.STEP_FAILURE:
        return event.step_failure_data.error
    if event.event_type is DagsterEventType.RUN_FAILURE and event.event_specific_data is not None:
        return event.job_failure_data.error
    return None
