"""Group commit: pushes that arrive while a commit of their dataset is under way share the next one (decision A4).

There is no thread of our own and no artificial wait: the first caller of an idle dataset leads, commits what waits, and
hands the lead to the first caller that came in the meantime.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kamu_assets.coordinator.ingest.errors import QueueFullError
from kamu_assets.coordinator.ingest.limits import MIB
from kamu_assets.coordinator.results import PushResult
from kamu_assets.errors import KamuError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.timestamp import Timestamp

GROUP_BYTES = 16 * MIB
QUEUE_BYTES = 256 * MIB


@dataclass(frozen=True, slots=True)
class Push:
    """Data of one caller. Large bodies are files; those are committed alone."""

    content: bytes | Path
    name: str
    source_name: str | None = None
    media_type: str | None = None
    source_event_time: Timestamp | None = None

    @property
    def held_bytes(self) -> int:
        """Memory that the push takes while it waits."""
        return len(self.content) if isinstance(self.content, bytes) else 0


Outcome = PushResult | KamuError
CommitGroup = Callable[[DatasetID, Sequence[Push]], Sequence[Outcome]]


class _Ticket:
    def __init__(self, push: Push) -> None:
        self.push = push
        self.outcome: Outcome | None = None
        # Set when there is an outcome, or when it is this caller's turn to lead.
        self.called = threading.Event()

    def finish(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.called.set()


@dataclass(slots=True)
class _Lane:
    """The pushes of one dataset, in order of arrival."""

    waiting: deque[_Ticket] = field(default_factory=deque)


class PushQueue:
    """Orders pushes per dataset and commits them in groups. Safe to use from any number of threads."""

    def __init__(
        self, commit_group: CommitGroup, *, group_bytes: int = GROUP_BYTES, queue_bytes: int = QUEUE_BYTES
    ) -> None:
        self._commit_group = commit_group
        self._group_bytes = group_bytes
        self._queue_bytes = queue_bytes
        self._lock = threading.Lock()
        self._lanes: dict[DatasetID, _Lane] = {}
        self._held = 0

    def push(self, dataset: DatasetID, push: Push) -> PushResult:
        """Wait until the push is committed; raises its own refusal, never somebody else's."""
        ticket = _Ticket(push)
        self._enter(dataset, ticket)
        try:
            ticket.called.wait()
            if ticket.outcome is None:
                self._lead(dataset)
        finally:
            self._leave(push)
        if not isinstance(ticket.outcome, PushResult):
            raise ticket.outcome or RuntimeError("a push was left without an outcome")
        return ticket.outcome

    @property
    def is_full(self) -> bool:
        """Whether whoever comes, with however little, is sent away."""
        return self._held >= self._queue_bytes

    def _enter(self, dataset: DatasetID, ticket: _Ticket) -> None:
        size = ticket.push.held_bytes
        with self._lock:
            if self._held and self._held + size > self._queue_bytes:
                raise QueueFullError(
                    f"{self._held // MIB} MiB of pushes wait already, the limit is {self._queue_bytes // MIB} MiB "
                    "(setting ingest.queue_limit); try again later"
                )
            self._held += size
            lane = self._lanes.get(dataset)
            if lane is None:
                lane = self._lanes[dataset] = _Lane()
                ticket.called.set()
            lane.waiting.append(ticket)

    def _leave(self, push: Push) -> None:
        with self._lock:
            self._held -= push.held_bytes

    def _lead(self, dataset: DatasetID) -> None:
        group = self._take_group(dataset)
        try:
            outcomes = self._commit_group(dataset, [ticket.push for ticket in group])
            for ticket, outcome in zip(group, outcomes, strict=True):
                ticket.finish(outcome)
        except KamuError as error:
            _fail(group, error)
        except BaseException:
            _fail(group, KamuError("the commit of this push was interrupted; whether it happened is not known"))
            raise
        finally:
            self._hand_over(dataset)

    def _take_group(self, dataset: DatasetID) -> list[_Ticket]:
        with self._lock:
            waiting = self._lanes[dataset].waiting
            group = [waiting.popleft()]
            size = group[0].push.held_bytes
            if isinstance(group[0].push.content, Path):
                return group
            while waiting and isinstance(waiting[0].push.content, bytes):
                size += waiting[0].push.held_bytes
                if size > self._group_bytes:
                    break
                group.append(waiting.popleft())
            return group

    def _hand_over(self, dataset: DatasetID) -> None:
        with self._lock:
            lane = self._lanes[dataset]
            if lane.waiting:
                lane.waiting[0].called.set()
            else:
                del self._lanes[dataset]


def _fail(group: Sequence[_Ticket], error: KamuError) -> None:
    for ticket in group:
        if ticket.outcome is None:
            ticket.finish(error)
