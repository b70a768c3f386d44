"""What the sensors see: pushes that nobody followed, and flows whose run has ended without them."""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from dagster import DagsterInstance

from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.flows.scheduling.overdue import Overdue, OverduePushes
from kamu_assets.flows.store import FlowStore
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.multihash import Multihash
from kamu_assets.orchestration.names import METADATA_HEAD, key_of


class Attempt(NamedTuple):
    """One run of a flow."""

    flow: int
    number: int


class Watches(Protocol):
    """What sensors need of the node."""

    def overdue(self, position: int) -> tuple[int, Sequence[Overdue]]:
        """How far the outbox was looked through from there on, and which datasets with pushes nobody followed."""
        ...

    def ended(self) -> Collection[Attempt]:
        """Attempts that count as running although their run has ended or was never made."""
        ...


class Watching:
    """Looks at the node's tables and at Dagster's, and changes neither."""

    def __init__(self, *, instance: DagsterInstance, database: Database, chains: Chains, clock: Clock) -> None:
        self._instance = instance
        self._database = database
        self._flows = FlowStore()
        self._pushes = OverduePushes(database=database, chains=chains, clock=clock, told=self._told)

    def overdue(self, position: int) -> tuple[int, Sequence[Overdue]]:
        """Pushes that are old enough to have been followed."""
        return self._pushes.after(position)

    def ended(self) -> Collection[Attempt]:
        """A moment later the scheduler, or the worker, may have settled them."""
        with self._database.reading() as tx:
            running = self._flows.running(tx)
        return [Attempt(flow.id, flow.attempt) for flow in running if flow.run_id and self._has_ended(flow.run_id)]

    def _has_ended(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        return run is None or run.is_finished

    def _told(self, alias: DatasetAlias) -> Multihash | None:
        newest = self._instance.get_latest_materialization_event(key_of(alias))
        told = newest.asset_materialization if newest else None
        head = told.metadata.get(METADATA_HEAD) if told else None
        return Multihash.parse(str(head.value)) if head is not None else None
