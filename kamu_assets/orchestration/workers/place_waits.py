"""Tells of runs that wait for a place at their engine, in their logs and in their flows, and who has the places."""

from collections.abc import Sequence

import structlog
from dagster import DagsterInstance

from kamu_assets.flows.scheduling.places import waits_for
from kamu_assets.flows.service import FlowService
from kamu_assets.orchestration.workers.capacity import WaitingForPlace
from kamu_assets.orchestration.workers.warm_queue import WarmQueue

log = structlog.get_logger(__name__)


class PlaceWaits:
    """Says it once per run and engine."""

    def __init__(self, *, instance: DagsterInstance, queue: WarmQueue, flows: FlowService) -> None:
        self._instance = instance
        self._queue = queue
        self._flows = flows
        self._told: set[tuple[str, str]] = set()

    def tell(self) -> None:
        """To be called every few seconds: who waits for less needs no explanation."""
        waiting = self._queue.waiting_for_places()
        for each in waiting:
            if (each.run_id, each.engine) not in self._told:
                self._tell(each)
        self._told = {(each.run_id, each.engine) for each in waiting}

    def _tell(self, waiting: WaitingForPlace) -> None:
        run = self._instance.get_run_by_id(waiting.run_id)
        if run is None or run.is_finished:
            return
        holders = [f"run {run_id} ({self._subject(run_id)})" for run_id in waiting.holders]
        text = waits_for(waiting.engine, places=waiting.places, holders=holders)
        log.info("run_waits", run=run.run_id, assets=self._subject(run.run_id), engine=waiting.engine)
        self._instance.report_engine_event(text, run)
        self._flows.run_waits(run.run_id, text)

    def _subject(self, run_id: str) -> str:
        run = self._instance.get_run_by_id(run_id)
        keys: Sequence[str] = sorted(key.to_user_string() for key in (run.asset_selection or ())) if run else ()
        return ", ".join(keys) or "no dataset"
