"""Tells Dagster how fresh datasets are whose triggers promise it.

Dagster's own daemon would load the whole catalog for that, and call datasets stale whose sources have nothing new:
it knows of materializations only.
"""

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping

from dagster import AssetKey, DagsterInstance
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.messages import Message
from kamu_assets.flows.messages import FlowFinished, TriggerChanged
from kamu_assets.flows.triggers.promises import Promises
from kamu_assets.odf.identity import DatasetID
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
        self._keys: dict[DatasetID, AssetKey] = {}
        self._told: dict[AssetKey, FreshnessState] = {}
        # Of what was promised, or done, since the last step; another thread hears of it.
        self._news: set[DatasetID] = set()
        self._hearing = threading.Lock()
        self._looked = float("-inf")

    def hear(self, messages: Iterable[Message]) -> None:
        """Have the next step look at the datasets that these tell of."""
        news = set(_news(messages))
        with self._hearing:
            self._news |= news

    def step(self) -> bool:
        """Look at what is new, and now and then at all; there is never a reason to come back at once."""
        with self._hearing:
            news, self._news = self._news, set()
        if time.monotonic() - self._looked >= SECONDS_BETWEEN:
            self._looked = time.monotonic()
            self.report()
        elif news:
            self.report(news)
        return False

    def report(self, datasets: Collection[DatasetID] | None = None) -> int:
        """Tell what has changed, of these or of all; how much that was."""
        before = {*self._told} if datasets is None else {self._keys[each] for each in datasets if each in self._keys}
        states = self._states(datasets)
        # Of what is promised no more nobody expects anything.
        gone = dict.fromkeys((before & self._told.keys()) - states.keys(), FreshnessState.NOT_APPLICABLE)
        self._learn(states)
        changes = {key: state for key, state in {**states, **gone}.items() if self._told[key] is not state}
        for key, state in changes.items():
            self._tell(key, state)
        self._told = {key: state for key, state in {**self._told, **changes}.items() if key not in gone}
        return len(changes)

    def _states(self, datasets: Collection[DatasetID] | None) -> Mapping[AssetKey, FreshnessState]:
        now = self._clock.now()
        with self._database.reading() as tx:
            promises = self._promises.all(tx, of=datasets)
        within = [(each, window) for each in promises if (window := promised(each.trigger)) is not None]
        self._keys |= {each.trigger.dataset_id: key_of(each.alias) for each, _ in within}
        return {key_of(each.alias): freshness(window, each.last_success_at, now) for each, window in within}

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


def _news(messages: Iterable[Message]) -> Iterator[DatasetID]:
    for message in messages:
        match message:
            case TriggerChanged():
                yield message.dataset_id
            case FlowFinished(dataset_id=DatasetID() as dataset) if message.type.computes:
                yield dataset
            case _:
                continue
