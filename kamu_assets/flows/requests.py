"""Use cases of flows of a certain type: what somebody wants done to a dataset, or to the node."""

from dataclasses import replace
from typing import Protocol

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.service import Datasets
from kamu_assets.errors import ConflictError, InvalidError
from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.lifecycle import FlowLife
from kamu_assets.flows.model import Binding, Flow, FlowState, FlowType
from kamu_assets.flows.preconditions import Preconditions, check_dataset_kind
from kamu_assets.flows.processes.store import ProcessStore
from kamu_assets.flows.retrying import ARGUMENTS, PLAIN, FlowConfig
from kamu_assets.flows.scopes import SYSTEM
from kamu_assets.flows.store import FlowStore
from kamu_assets.governance.access import Access, Action
from kamu_assets.odf.identity import DatasetRef
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import NANOS_PER_SECOND

_GARBAGE = Binding(SYSTEM, FlowType.SYSTEM_GC)
# Which arguments a flow takes.
_TAKES = {FlowType.INGEST: "ingest", FlowType.HARD_COMPACTION: "compaction", FlowType.RESET: "reset"}


class InvalidArgumentsError(InvalidError):
    """The flow does not take them, or needs others."""


class FlowRunsError(ConflictError):
    """What runs was told something else, and what is late for it would not be told this."""

    def __init__(self, flow: Flow) -> None:
        super().__init__(f"flow {flow.id} of this type is running: wait for its end, or cancel it")
        self.flow_id = flow.id


class ChecksResets(Protocol):
    """The coordinator, as far as plans need it."""

    def check_reset(self, caller: Caller, dataset: DatasetRef, new_head: Multihash | None) -> None:
        """Raise what is plainly wrong: NewHeadNotFoundError, AlreadyHeadError."""
        ...


class FlowRequests:
    """Makes flows that somebody asks for by their type, and those that keep the node tidy."""

    def __init__(
        self,
        *,
        database: Database,
        datasets: Datasets,
        chains: Chains,
        access: Access,
        clock: Clock,
        resets: ChecksResets,
        life: FlowLife,
    ) -> None:
        self._database = database
        self._datasets = datasets
        self._preconditions = Preconditions(chains)
        self._access = access
        self._clock = clock
        self._resets = resets
        self._life = life
        self._flows = FlowStore()
        self._processes = ProcessStore()

    def run(self, caller: Caller, dataset: DatasetRef, type_: FlowType, config: FlowConfig = PLAIN) -> Flow:
        """Have it done soon, with the arguments of `config`; joins the flow that waits for it already."""
        entry = self._datasets.resolve(caller, dataset)
        _check_about(type_)
        check_dataset_kind(entry, type_)
        _check_arguments(type_, config)
        self._preconditions.check(entry, type_)
        if config.reset is not None:
            self._resets.check_reset(caller, entry.id, config.reset.new_head)
        with self._database.transaction() as tx:
            self._access.require(tx, caller, entry, Action.MAINTAIN)
            return self._want(tx, caller, Binding(entry.id, type_), config)

    def collect(self, caller: Caller) -> Flow:
        """Have garbage of all datasets collected soon."""
        self._access.require_admin(caller, "collect the garbage of the node")
        with self._database.transaction() as tx:
            return self._want(tx, caller, _GARBAGE, PLAIN)

    def collect_if_due(self, tx: Transaction, *, every: float) -> None:
        """Have garbage collected when the last time, or the first look, was so many seconds ago; never for 0."""
        if not every:
            return
        now = self._clock.now()
        record = self._processes.get(tx, _GARBAGE)
        last = record.last_attempt_at
        if last is not None:
            if now.ns - last.ns < every * NANOS_PER_SECOND:
                return
            self._life.want(tx, _GARBAGE, FlowCause(CauseKind.AUTO_POLLING))
        # Whoever cancels it does not want it again at once.
        self._processes.save(tx, _GARBAGE, replace(record, last_attempt_at=now))

    def _want(self, tx: Transaction, caller: Caller, binding: Binding, config: FlowConfig) -> Flow:
        live = self._flows.live(tx, binding)
        asked = any(getattr(config, name) is not None for name in ARGUMENTS)
        if live is not None and live.state is FlowState.RUNNING and asked:
            raise FlowRunsError(live)
        account = caller.account.id if caller.account else None
        flow = self._life.want(tx, binding, FlowCause(CauseKind.MANUAL, account=account))
        return self._life.configure(tx, flow, config)


def _check_about(type_: FlowType) -> None:
    if not type_.kinds:
        raise InvalidArgumentsError(f"flows of type {type_.words} are not about one dataset")


def _check_arguments(type_: FlowType, config: FlowConfig) -> None:
    """Raise InvalidArgumentsError, and InvalidLimitError of compactions."""
    given = {name for name in ARGUMENTS if getattr(config, name) is not None}
    if unknown := sorted(given - {_TAKES.get(type_)}):
        raise InvalidArgumentsError(f"flows of type {type_.words} take no arguments of {', '.join(unknown)}")
    if type_ is FlowType.RESET and config.reset is None:
        raise InvalidArgumentsError("a reset needs the block to go back to, or that it is the Seed")
    if config.compaction is not None:
        _ = config.compaction.limits
