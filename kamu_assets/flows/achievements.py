"""Told by whoever does the work of a flow, before its run ends: so nothing is lost when its worker dies after that."""

from collections.abc import Callable
from dataclasses import replace

from kamu_assets.database.database import Database
from kamu_assets.flows.model import FlowState
from kamu_assets.flows.results import FlowResult
from kamu_assets.flows.scopes import Scope
from kamu_assets.flows.store import FlowStore

# Told the run, what it was done to, and what came of it.
Achieved = Callable[[str, Scope, FlowResult], object]


def tell_nobody(_run_id: str, _scope: Scope, _result: FlowResult) -> None:
    """Nobody keeps it."""


class Achievements:
    """Keeps what runs achieved with their flows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._flows = FlowStore()

    def note(self, run_id: str, scope: Scope, result: FlowResult) -> None:
        """This came of what the run did; where it is nobody's attempt, nobody asks."""
        with self._database.transaction() as tx:
            for flow in self._flows.by_run(tx, run_id, lock=True):
                if flow.state is FlowState.RUNNING and flow.scope == scope:
                    self._flows.save(tx, replace(flow, result=result))
