"""What is told of a run that failed, and which failures are not its own."""

from __future__ import annotations

import sys
from collections.abc import Callable

import psycopg2
import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterRun, DagsterRunStatus, EventLogEntry, EventLogRecord, Failure
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.events import RunFailureReason
from dagster._core.execution.plan.objects import StepFailureData
from dagster._utils.error import serializable_error_info_from_exc_info
from sqlalchemy.exc import OperationalError, PendingRollbackError

from kamu_assets.coordinator.errors import InvalidInputIntervalError, TransformFailedError
from kamu_assets.coordinator.ingest.errors import BadInputError, SourceUnreachableError, TemplateError
from kamu_assets.database.errors import DatabaseUnavailableError, told_plainly
from kamu_assets.errors import InvalidError
from kamu_assets.monitoring.secrets import HIDDEN, never_tell
from kamu_assets.odf.multihash import Multihash
from kamu_assets.orchestration.failures import (
    is_by_node,
    is_interrupt,
    is_outage,
    is_outage_error,
    is_recoverable,
    is_recoverable_error,
    message_of,
    rewritten_input_of,
    traceback_of,
)
from kamu_assets.orchestration.run_history import line_of
from kamu_assets.orchestration.workers.execution import _outcome, _Seen
from kamu_assets.orchestration.workers.run_log import RunLog
from kamu_assets.webhooks.errors import DeliveryFailedError, UnreadableSecretError
from tests.support.builders import a_dataset_id


def a_failure(error: BaseException) -> DagsterEvent:
    """As Dagster tells of an error that a step raised."""
    try:
        raise error  # noqa: TRY301 - only to have a traceback
    except BaseException:  # noqa: BLE001 - as above
        info = serializable_error_info_from_exc_info(sys.exc_info())
    data = StepFailureData(error=info, user_failure_data=None)  # type: ignore[no-untyped-call] # Dagster's
    return DagsterEvent(DagsterEventType.STEP_FAILURE.value, "job", event_specific_data=data)


def an_end(failure: DagsterEvent) -> DagsterEvent:
    """Of the run, by the failure of its step."""
    unknown = RunFailureReason.UNKNOWN
    return DagsterEvent.job_failure("job", "Steps failed.", unknown, first_step_failure_event=failure)


def caused(error: Exception, *causes: Exception) -> Exception:
    """An error with the causes of its cause, outermost first."""
    current: BaseException = error
    for cause in causes:
        current.__cause__ = cause
        current = cause
    return error


def lost_connection() -> Exception:
    """What our database raises when its server is stopped."""
    with pytest.raises(DatabaseUnavailableError) as told, told_plainly():
        raise OperationalError("SELECT 1", None, psycopg2.OperationalError("server closed the connection"))
    return told.value


@pytest.mark.parametrize("told", [a_failure, lambda error: an_end(a_failure(error))])
def test_a_run_is_tried_again_after_an_outage_and_not_for_faults_of_its_own(
    told: Callable[[Exception], DagsterEvent],
) -> None:
    run = DagsterRun("job", run_id="r")
    cut, failed = _Seen(RunLog(run, about=[], types=[])), _Seen(RunLog(run, about=[], types=[]))

    cut.note(told(caused(RuntimeError("wrapped by Dagster"), lost_connection())))
    failed.note(told(InvalidError("no such column")))

    assert "server does not answer" in str(cut.lost)
    assert failed.lost is None


def test_an_outage_is_one_whatever_the_driver_said_of_it() -> None:
    failure = a_failure(caused(RuntimeError("wrapped by Dagster"), lost_connection()))

    assert is_outage(failure)
    assert message_of(failure) == "database unavailable: its server does not answer (setting database.url)"
    assert traceback_of(failure) is None


def test_no_half_of_a_secret_stands_where_a_message_was_cut() -> None:
    never_tell(["correct-horse-battery"])
    try:
        message = message_of(a_failure(InvalidError("x" * 1990 + "correct-horse-battery")))
    finally:
        never_tell([])

    assert message == "x" * 1990 + HIDDEN


@pytest.mark.parametrize(
    "error",
    [
        caused(InvalidError("the transform failed"), DatabaseUnavailableError("away")),
        # Of Dagster's own storages.
        OperationalError("SELECT 1", None, psycopg2.OperationalError("terminating connection")),
        PendingRollbackError("Can't reconnect until invalid transaction is rolled back."),
    ],
)
def test_an_outage_may_be_the_cause_of_other_errors(error: Exception) -> None:
    assert is_outage(a_failure(caused(RuntimeError("wrapped"), error)))
    assert is_outage_error(caused(RuntimeError("wrapped"), error))


def test_other_failures_are_the_runs_own() -> None:
    bad = caused(InvalidError("the query is wrong"), ValueError("at 7"))

    assert not is_outage(a_failure(bad))
    assert not is_outage_error(bad)
    assert message_of(a_failure(caused(RuntimeError("wrapped"), bad))) == "the query is wrong"
    assert "at 7" in str(traceback_of(a_failure(caused(RuntimeError("wrapped"), ValueError("at 7")))))


def test_who_went_on_with_a_lost_connection_hears_of_the_outage() -> None:
    with pytest.raises(DatabaseUnavailableError, match=r"database\.url"), told_plainly():
        raise PendingRollbackError("Can't reconnect until invalid transaction is rolled back.")


@pytest.mark.parametrize(
    ("error", "recoverable"),
    [
        (SourceUnreachableError("away"), True),
        (BadInputError("cut off"), True),
        (RuntimeError("a bug"), True),
        (TemplateError("no such variable"), False),
        (InvalidError("no such column"), False),
    ],
)
def test_what_is_wrong_with_the_work_itself_stays_wrong(error: Exception, *, recoverable: bool) -> None:
    assert is_recoverable(a_failure(error)) is recoverable
    assert is_recoverable_error(error) is recoverable


def test_a_failure_that_nobody_tells_of_may_pass() -> None:
    assert is_recoverable(None)


def test_the_input_that_was_rewritten_is_known_by_its_name() -> None:
    input_, head = a_dataset_id(), Multihash.sha3_256(b"head")
    failure = a_failure(caused(RuntimeError("wrapped by Dagster"), InvalidInputIntervalError(input_, head, None)))

    assert rewritten_input_of(failure) == input_
    assert not is_recoverable(failure)
    assert rewritten_input_of(a_failure(TransformFailedError(f"in input dataset '{input_}'"))) is None


def test_where_the_work_was_when_somebody_stopped_it_is_nobodys_business() -> None:
    stopped = DagsterExecutionInterruptedError()
    stopped.__context__ = OSError("broken off")
    event = a_failure(stopped)
    assert is_interrupt(event)
    assert not is_interrupt(a_failure(OSError("broken off")))

    entry = EventLogEntry(None, "error", "", "run", 1.0, job_name="job", dagster_event=event)  # type: ignore[no-untyped-call] # Dagster's
    line = line_of(EventLogRecord(7, entry))

    assert line is not None
    assert (line.level, line.text) == ("info", "stopped")


def test_no_receiver_is_blamed_for_a_key_of_the_node() -> None:
    ours, theirs = (
        a_failure(caused(Failure("it failed"), UnreadableSecretError())),
        a_failure(DeliveryFailedError("no")),
    )

    assert (is_by_node(ours), is_recoverable(ours)) == (True, True)
    assert not is_by_node(theirs)
    seen = _Seen(RunLog(DagsterRun("job"), about=[], types=[]))
    seen.note(ours)
    assert _outcome(DagsterRunStatus.FAILURE, seen, did=False).by_node
