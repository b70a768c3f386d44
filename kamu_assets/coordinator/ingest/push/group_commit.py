"""Pushing: a group of pushes becomes one block that equals committing them one after another (decision A4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from kamu_assets.clock import Clock
from kamu_assets.coordinator.ingest.ingestion import Ingestion, Work
from kamu_assets.coordinator.ingest.merge.needs import only_adds
from kamu_assets.coordinator.ingest.push.media_types import PushReader, reader_for
from kamu_assets.coordinator.ingest.push.queue import Outcome, Push
from kamu_assets.coordinator.ingest.push.source import select_push_source
from kamu_assets.coordinator.ingest.slice_request import InputOutcome, SliceInput
from kamu_assets.coordinator.moments import next_system_time
from kamu_assets.coordinator.results import PushResult
from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.errors import HeadMovedError
from kamu_assets.datasets.model import DatasetEntry, Pushed
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.errors import KamuError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import AddPushSource
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.source import MergeStrategy
from kamu_assets.odf.timestamp import Timestamp

_ATTEMPTS = 30


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A push that has found its source."""

    place: int
    push: Push
    source: AddPushSource
    reader: PushReader

    def sharing(self) -> tuple[MergeStrategy, int]:
        """Equal for neighbours that may share a block: merged alike, and never changing what another one added."""
        merge = self.source.merge
        return merge, 0 if only_adds(merge) else self.place

    def input(self, now: Timestamp) -> SliceInput:
        return SliceInput(
            name=self.push.name,
            content=self.push.content,
            read=self.reader.step,
            preprocess=self.source.preprocess,
            source_event_time=self.push.source_event_time or now,
            checks_header=self.reader.checks_header,
        )


class GroupCommit:
    """Commits groups of pushes."""

    def __init__(self, *, database: Database, chains: Chains, ingestion: Ingestion, clock: Clock) -> None:
        self._database = database
        self._chains = chains
        self._ingestion = ingestion
        self._clock = clock
        self._entries = DatasetStore()

    def commit(self, dataset: DatasetID, pushes: Sequence[Push]) -> Sequence[Outcome]:
        """One outcome per push, in their order."""
        with self._database.reading() as tx:
            entry = self._entries.get(tx, dataset)
            chain = self._chains.state(dataset, tx=tx)
        outcomes: dict[int, Outcome] = {}
        resolved = _resolve(chain, pushes, outcomes)
        for _, alike in groupby(resolved, key=_Resolved.sharing):
            outcomes |= self._commit_alike(entry, list(alike))
        return [outcomes[place] for place in range(len(pushes))]

    def _commit_alike(self, entry: DatasetEntry, pushes: list[_Resolved]) -> dict[int, Outcome]:
        try:
            return self._retried(entry, pushes)
        except KamuError as error:
            if len(pushes) == 1:
                return {pushes[0].place: error}
        # One of them broke the worker or a rule: find out which.
        outcomes: dict[int, Outcome] = {}
        for push in pushes:
            outcomes |= self._commit_alike(entry, [push])
        return outcomes

    def _retried(self, entry: DatasetEntry, pushes: list[_Resolved]) -> dict[int, Outcome]:
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._attempt(entry, pushes)
            except HeadMovedError:
                # Another process was first: merge with what it committed.
                continue
        return self._attempt(entry, pushes)

    def _attempt(self, entry: DatasetEntry, pushes: list[_Resolved]) -> dict[int, Outcome]:
        chain = self._chains.state(entry.id)
        now = next_system_time(self._clock, chain)
        inputs = tuple(push.input(now) for push in pushes)
        work = Work(inputs, pushes[0].source.merge, now, push=Pushed(pushes[0].push.source_name))
        ingested = self._ingestion.ingest(entry, chain, work)
        head = ingested.commit.new_head if ingested.commit else chain.head
        if head is None:
            raise ValueError("a dataset in the registry has a head")
        outcomes = zip(pushes, ingested.result.outcomes, strict=True)
        return {push.place: _outcome(outcome, head) for push, outcome in outcomes}


def _resolve(chain: ChainState, pushes: Sequence[Push], refused: dict[int, Outcome]) -> list[_Resolved]:
    found = []
    for place, push in enumerate(pushes):
        try:
            source = select_push_source(chain, push.source_name)
            found.append(_Resolved(place, push, source, reader_for(source.read, push.media_type)))
        except KamuError as error:
            refused[place] = error
    return found


def _outcome(outcome: InputOutcome, head: Multihash) -> Outcome:
    if outcome.failure is not None:
        return outcome.failure.restored()
    up_to_date = outcome.records == 0 and not outcome.sets_schema
    return PushResult(head, outcome.records, up_to_date=up_to_date)
