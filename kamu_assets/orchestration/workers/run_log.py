"""What the node's log tells of a run: one line at its end. Dagster's own log has the rest, for its UI."""

from collections.abc import Sequence

import structlog
from dagster import DagsterEvent, DagsterRun
from dagster._core.events import DagsterEventType

from kamu_assets.flows.model import FlowOutcome, OutcomeKind
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.failures import (
    is_by_node,
    is_recoverable,
    message_of,
    retry_after_in,
    rewritten_input_of,
    traceback_of,
)

log = structlog.get_logger(__name__)

_QUIET_CONSOLE = {"console": {"config": {"log_level": "CRITICAL"}}}


class RunLog:
    """Notes what the events of one run tell, and says it once."""

    def __init__(self, run: DagsterRun, *, about: Sequence[str], types: Sequence[str]) -> None:
        self._run = run
        self._about = about
        self._types = types
        self.failure: str | None = None
        self.recoverable = True
        self.rewritten_input: DatasetID | None = None
        self.retry_after: float | None = None
        self.by_node = False
        self._traceback: str | None = None
        self._figures: dict[str, object] = {}

    def quiet_run(self) -> DagsterRun:
        """The run without Dagster's console, where every failure would be told twice and at length."""
        return self._run._replace(run_config={**self._run.run_config, "loggers": _QUIET_CONSOLE})

    def blame(self, reason: str) -> None:
        """What ended the run, whatever its events say of it."""
        self.failure, self._traceback = reason, None
        self.recoverable, self.rewritten_input, self.by_node = True, None, False

    def note(self, event: DagsterEvent) -> None:
        if event.event_type is DagsterEventType.ASSET_MATERIALIZATION:
            told = event.step_materialization_data.materialization.metadata
            self._figures = {name: told[name].value for name in ("records_added", "late_rows") if name in told}
        elif event.event_type in {DagsterEventType.STEP_FAILURE, DagsterEventType.RUN_FAILURE} and not self.failure:
            self.failure, self._traceback = message_of(event), traceback_of(event)
            self.recoverable, self.rewritten_input = is_recoverable(event), rewritten_input_of(event)
            self.retry_after, self.by_node = retry_after_in(event), is_by_node(event)

    def tell(self, outcome: FlowOutcome) -> None:
        """One line; a bug's traceback goes with it."""
        facts = {"assets": ", ".join(self._about), "type": ", ".join(self._types), "run": self._run.run_id}
        if outcome.kind is not OutcomeKind.FAILED:
            log.info("run_ended", outcome=outcome.kind.value, **facts, **self._figures)
        elif self._traceback is None:
            log.warning("run_failed", error=outcome.message, **facts)
        else:
            log.error("run_failed", error=outcome.message, **facts, exception=self._traceback)
