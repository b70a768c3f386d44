"""Tells Dagster how fresh datasets are whose triggers promise it.

Dagster's own daemon would load the whole catalog for that, and call datasets stale whose sources have nothing new:
it knows of materializations only.
"""

import time
from collections.abc import Mapping

from dagster import AssetKey, DagsterInstance
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.flows.triggers.promises import Promises
from kamu_assets.odf.timestamp import NANOS_PER_SECOND
from kamu_assets.orchestration.catalog.promises import freshness, promised
from kamu_assets.orchestration.names import key_of

# Nobody promises less than a minute.
SECONDS_BETWEEN = 60.0


class FreshnessReports:
    """Reports changes only: what Dagster knows already is not told again, by whomever it was told."""

    def __init__(self, *, instance: DagsterInstance, database: Database, clock: Clock) -> None:
        self._instance = instance
        self._database = database
        self._clock = clock
        self._promises = Promises()
        self._told: dict[AssetKey, FreshnessState] = {}
        self._looked = float("-inf")

    def step(self) -> bool:
        """Look now and then; there is never a reason to come back at once."""
        if time.monotonic() - self._looked >= SECONDS_BETWEEN:
            self._looked = time.monotonic()
            self.report()
        return False

    def report(self) -> int:
        """Tell what has changed; how much that was."""
        states = self._states()
        # Of what is promised no more nobody expects anything.
        gone = dict.fromkeys(self._told.keys() - states.keys(), FreshnessState.NOT_APPLICABLE)
        self._learn(states)
        changes = {key: state for key, state in {**states, **gone}.items() if self._told[key] is not state}
        for key, state in changes.items():
            self._tell(key, state)
        self._told = {key: state for key, state in {**self._told, **changes}.items() if key in states}
        return len(changes)

    def _states(self) -> Mapping[AssetKey, FreshnessState]:
        now = self._clock.now()
        with self._database.reading() as tx:
            promises = self._promises.all(tx)
        within = [(each, promised(each.trigger)) for each in promises]
        return {key_of(each.alias): freshness(window, each.last_success_at, now) for each, window in within if window}

    def _learn(self, states: Mapping[AssetKey, FreshnessState]) -> None:
        """What Dagster knows of those that are new here."""
        new = [key for key in states if key not in self._told]
        known = self._instance.get_freshness_state_records(new) if new else {}
        for key in new:
            self._told[key] = known[key].freshness_state if key in known else FreshnessState.UNKNOWN

    def _tell(self, key: AssetKey, state: FreshnessState) -> None:
        change = FreshnessStateChange(
            key=key,
            new_state=state,
            previous_state=self._told[key],
            state_change_timestamp=self._clock.now().ns / NANOS_PER_SECOND,
        )
        self._instance._report_runless_asset_event(change)  # noqa: SLF001 - as Dagster's daemon does, there is no other
