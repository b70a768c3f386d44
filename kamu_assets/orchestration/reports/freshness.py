"""Tells Dagster how fresh datasets are whose triggers promise it.

Dagster's own daemon would load the whole catalog for that, and call datasets stale whose sources have nothing new:
it knows of materializations only.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from dagster import AssetKey, DagsterInstance
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.database.messages import Message
from kamu_assets.datasets.messages import DatasetDeleted, DatasetRenamed
from kamu_assets.flows.messages import FlowFinished, TriggerChanged
from kamu_assets.flows.triggers.promises import Promises
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.timestamp import NANOS_PER_SECOND
from kamu_assets.orchestration.catalog.promises import freshness, promised, turns_in
from kamu_assets.orchestration.names import key_of

# Nobody promises less than a minute.
SECONDS_BETWEEN = 60.0
# All are looked at when the first of them may turn late, and at any rate after so long.
SECONDS_AT_MOST = 900.0


class FreshnessReports:
    """Reports changes only: what Dagster knows already is not told again, by whomever it was told."""

    def __init__(
        self,
        *,
        instance: DagsterInstance,
        database: Database,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._instance = instance
        self._database = database
        self._clock = clock
        self._promises = Promises()
        self._keys: dict[DatasetID, AssetKey] = {}
        self._told: dict[AssetKey, FreshnessState] = {}
        # Of what was promised, or done, since the last step; another thread hears of it.
        self._news: set[DatasetID] = set()
        # Names that are nobody's any more: who tells of them shows them again.
        self._wiped: set[AssetKey] = set()
        self._hearing = threading.Lock()
        # When to look at all of them.
        self._due = float("-inf")

    def hear(self, messages: Iterable[Message]) -> None:
        """Have the next step look at the datasets that these tell of."""
        heard = list(messages)
        with self._hearing:
            self._news.update(_news(heard))
            self._wiped.update(_wiped(heard))

    def step(self) -> bool:
        """Look at what is new, and now and then at all; there is never a reason to come back at once."""
        with self._hearing:
            news, self._news = self._news, set()
            wiped, self._wiped = self._wiped, set()
        if wiped:
            self._forget(wiped)
        are_due = self._monotonic() >= self._due
        try:
            if are_due or news:
                self.report(None if are_due else news)
        except BaseException:
            # Whatever was away: the next step does it.
            with self._hearing:
                self._news |= news
            if are_due:
                self._due = float("-inf")
            raise
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
        now, began = self._clock.now(), self._monotonic()
        with self._database.reading() as tx:
            promises = self._promises.all(tx, of=datasets)
        within = [(each, window) for each in promises if (window := promised(each.trigger)) is not None]
        self._keys |= {each.trigger.dataset_id: key_of(each.alias) for each, _ in within}
        turns = [turns_in(window, each.last_success_at, now) for each, window in within]
        soonest = min([SECONDS_AT_MOST, *(seconds for seconds in turns if seconds is not None)])
        due = began + max(SECONDS_BETWEEN, soonest)
        self._due = due if datasets is None else min(self._due, due)
        return {key_of(each.alias): freshness(window, each.last_success_at, now) for each, window in within}

    def _forget(self, wiped: Collection[AssetKey]) -> None:
        self._told = {key: state for key, state in self._told.items() if key not in wiped}
        self._keys = {dataset: key for dataset, key in self._keys.items() if key not in wiped}

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
            case TriggerChanged() | DatasetRenamed():
                yield message.dataset_id
            case FlowFinished(dataset_id=DatasetID() as dataset) if message.type.computes:
                yield dataset
            case _:
                continue


def _wiped(messages: Iterable[Message]) -> Iterator[AssetKey]:
    for message in messages:
        match message:
            case DatasetDeleted():
                yield key_of(message.alias)
            case DatasetRenamed():
                yield key_of(message.old_alias)
            case _:
                continue
