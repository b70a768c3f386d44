"""Runs that somebody starts in Dagster's UI, and the flows that they are."""

import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from kamu_assets.clock import Clock
from kamu_assets.database.errors import DatabaseUnavailableError
from kamu_assets.errors import ConflictError, KamuError, UnavailableError
from kamu_assets.flows.model import Binding, Flow, FlowOutcome, FlowType, OutcomeKind
from kamu_assets.flows.orchestrator import RunStatus
from kamu_assets.flows.retrying import PLAIN, FlowConfig
from kamu_assets.flows.scopes import SYSTEM, Scope
from kamu_assets.flows.service import FlowService
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.orchestration.catalog.rows import Catalog
from kamu_assets.orchestration.failures import is_outage_error
from kamu_assets.orchestration.names import CHECK_VERIFY, TAG_ATTEMPT, TAG_DATASET, TAG_FLOW, TAG_FLOW_TYPE, key_of
from kamu_assets.orchestration.operations import Asked as AskedJob
from kamu_assets.orchestration.operations import asked_by

log = structlog.get_logger(__name__)

SECONDS_BETWEEN = 5.0
# How far a leader that is new looks back, and every look behind the one before it: clocks differ.
FIRST_LOOK = timedelta(days=1)
OVERLAP = timedelta(seconds=10)
_WAITING = (DagsterRunStatus.QUEUED, DagsterRunStatus.STARTING)
# Another look may find it well. Any other failure of one run is found again and again.
_PASSING = (ConflictError, UnavailableError)
_GONE_WRONG = (DagsterRunStatus.CANCELED, DagsterRunStatus.FAILURE)

Asked = Mapping[Binding, FlowConfig]


class RenamedError(ConflictError):
    """The run's plan has the former name of its dataset: only another run can have the new one."""

    def __init__(self, alias: DatasetAlias) -> None:
        super().__init__(f"the dataset was renamed to {alias} while the run waited")
        self.alias = alias


def require_name(run: DagsterRun, catalog: Catalog) -> None:
    """Raise unless the dataset that the run was made for exists, and has the name that is in its plan."""
    keys = {*(run.asset_selection or ()), *(check.asset_key for check in run.asset_check_selection or ())}
    meant = run.tags.get(TAG_DATASET)
    if meant is None or len(keys) != 1:
        return
    entry = catalog.entry(DatasetID.parse(meant))
    if key_of(entry.alias) not in keys:
        raise RenamedError(entry.alias)


def asked_of(run: DagsterRun, catalog: Catalog) -> Asked:
    """The flows that a run is, as far as its datasets exist; none of a run that only looks after the node."""
    if asked := asked_by(run):
        return {Binding(_scope(asked, catalog), asked.type): asked.config}
    if updated := catalog.known(run.asset_selection or ()):
        return {Binding(entry.id, FlowType.updating(entry.kind)): PLAIN for entry in updated}
    verified = {key.asset_key for key in run.asset_check_selection or () if key.name == CHECK_VERIFY}
    return {Binding(entry.id, FlowType.VERIFY): PLAIN for entry in catalog.known(verified)}


def _scope(asked: AskedJob, catalog: Catalog) -> Scope:
    if asked.subscription is not None:
        return catalog.receiver(asked.subscription)
    return SYSTEM if asked.dataset is None else catalog.referred(asked.dataset).id


def name_flows(instance: DagsterInstance, run: DagsterRun, flows: Collection[Flow]) -> None:
    """Let who looks at the run see which flow it is; of a run that is several, their lists tell."""
    if len(flows) == 1:
        (flow,) = flows
        tags = {TAG_FLOW: str(flow.id), TAG_FLOW_TYPE: flow.type.value, TAG_ATTEMPT: str(flow.attempt)}
        instance.add_run_tags(run.run_id, tags)


def subjects_of(run: DagsterRun, catalog: Catalog) -> list[str]:
    """What a run is about, for people: `account/name` of datasets, or the job that looks after the node."""
    keys = {*(run.asset_selection or ()), *(key.asset_key for key in run.asset_check_selection or ())}
    if keys:
        return sorted(key.to_user_string() for key in keys)
    asked = asked_by(run)
    if asked is not None and asked.subscription is not None:
        return [f"webhook {asked.subscription}"]
    if asked is None or asked.dataset is None:
        return [run.job_name]
    try:
        return [str(catalog.referred(asked.dataset).alias)]
    except KamuError:
        # Whatever it is, that is what it was called.
        return [asked.dataset]


def types_of(run: DagsterRun, asked: Asked) -> list[str]:
    """The types of the flows that it is."""
    known = run.tags.get(TAG_FLOW_TYPE)
    return sorted({binding.type.value for binding in asked}) or ([known] if known else [])


class TellsOfRuns(Protocol):
    """The orchestrator, as far as it is needed here."""

    def status(self, run_id: str) -> RunStatus: ...


class AskedRuns:
    """Makes them flows while they wait; a worker does when it begins with one.

    Of what ended before that, or beside a flow of the same kind, it keeps how. Repeating it changes nothing.
    """

    def __init__(
        self, *, instance: DagsterInstance, catalog: Catalog, flows: FlowService, runs: TellsOfRuns, clock: Clock
    ) -> None:
        self._instance = instance
        self._catalog = catalog
        self._flows = flows
        self._runs = runs
        self._clock = clock
        self._since = self._now() - FIRST_LOOK
        # Those that wait, and for which another flow is in the way.
        self._left: set[str] = set()
        self._looked = float("-inf")

    def step(self) -> bool:
        """Look now and then; there is never a reason to come back at once."""
        if time.monotonic() - self._looked >= SECONDS_BETWEEN:
            self._looked = time.monotonic()
            self.look()
        return False

    def look(self) -> None:
        """See what was asked for, and what became of it."""
        since, now = self._since, self._now()
        changed = RunsFilter(statuses=[*_WAITING, *_GONE_WRONG], updated_after=since)
        found = {record.dagster_run.run_id: record.dagster_run for record in self._instance.get_run_records(changed)}
        for run_id in self._left - found.keys():
            if (run := self._instance.get_run_by_id(run_id)) is not None:
                found[run_id] = run
        self._left = {run.run_id for run in found.values() if TAG_FLOW not in run.tags and not self._is_through(run)}
        self._since = now - OVERLAP

    def _is_through(self, run: DagsterRun) -> bool:
        """Whether nothing is left to tell of it; what is wrong with one keeps nobody from the others."""
        try:
            return self._is_told(run)
        except DatabaseUnavailableError:
            raise
        except _PASSING as error:
            log.warning("run_not_told_yet", run=run.run_id, reason=str(error))
            return False
        except Exception as error:
            if is_outage_error(error):
                raise
            log.exception("run_not_told", run=run.run_id)
            return True

    def _is_told(self, run: DagsterRun) -> bool:
        """Whether nothing is left to tell of it."""
        try:
            asked = asked_of(run, self._catalog)
        except _PASSING:
            raise
        except KamuError as error:
            # What it asks for makes no sense, which it says itself where it is executed.
            log.debug("run_is_no_flow", run=run.run_id, reason=str(error))
            return True
        if run.status in _WAITING:
            adopted = self._flows.run_asked(run.run_id, asked)
            if len(asked) == 1:
                name_flows(self._instance, run, adopted)
            return len(adopted) == len(asked)
        if run.status in _GONE_WRONG:
            self._flows.run_missed(run.run_id, self._outcome(run), asked)
        return True

    def _outcome(self, run: DagsterRun) -> FlowOutcome:
        status = self._runs.status(run.run_id)
        kind = OutcomeKind.ABORTED if run.status is DagsterRunStatus.CANCELED else OutcomeKind.FAILED
        return FlowOutcome(
            kind,
            status.message,
            status.recoverable,
            status.rewritten_input,
            retry_after=status.retry_after,
            by_node=status.by_node,
        )

    def _now(self) -> datetime:
        return self._clock.now().to_datetime().astimezone(UTC)
