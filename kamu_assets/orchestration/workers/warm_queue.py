"""Runs on their way to warm workers: an atomic claim, an owner with a heartbeat, nothing popped and lost.

Works alike on SQLite and PostgreSQL. At most one claimed run per subject (a dataset): a unique index sees to it. At
most as many per engine as it has places: the claim counts them. Runs that tell receivers are claimed for themselves.
"""

from collections.abc import Mapping, Sequence
from enum import Enum, auto

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Index,
    Integer,
    String,
    Table,
    Text,
    and_,
    delete,
    func,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from kamu_assets.clock import Clock
from kamu_assets.database.columns import TimestampColumn
from kamu_assets.database.database import Database
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.database.wakeups import Listener, Wakeups
from kamu_assets.flows.scopes import WEBHOOK
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.orchestration.workers.capacity import EngineCapacity, WaitingForPlace, engines_in, holders_of
from kamu_assets.orchestration.workers.liveness import is_alive

RUNS_TOPIC = "warm_runs"
CANCELS_TOPIC = "warm_cancels"
# Runs that may wait in front of a worker; a worker takes the next one within milliseconds.
WAITING_PER_WORKER = 4
# Receivers that a worker tells at the same time, beside the run that it computes; one that hangs holds one place until
# its time is up.
TELLING_PER_WORKER = 16
# Of workers that get in each other's way; whoever still has nothing looks again in a moment.
_CLAIMS = 4

warm_runs = Table(
    "warm_runs",
    metadata,
    Column("run_id", String(36), primary_key=True),
    Column("subject", String(128)),
    Column("priority", Integer, nullable=False),
    Column("enqueued_at", TimestampColumn, nullable=False),
    Column("owner", String(255)),
    Column("claimed_at", TimestampColumn),
    Column("cancel_requested", Boolean, nullable=False),
    Column("engines", Text),
)
_claimed = warm_runs.c.owner.is_not(None)
Index("uq_warm_runs_subject", warm_runs.c.subject, unique=True, sqlite_where=_claimed)
_tells = func.coalesce(warm_runs.c.subject, "").startswith(WEBHOOK)

warm_workers = Table(
    "warm_workers",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("heartbeat_at", TimestampColumn, nullable=False),
)


class Cancellation(Enum):
    """What asking for a cancellation met."""

    # No such run here.
    ABSENT = auto()
    # It was waiting and is taken back.
    REMOVED = auto()
    # Its worker is told.
    ASKED = auto()


class WarmQueue:
    """The queue as launchers, coordinators, workers and the reaper see it."""

    def __init__(
        self, *, database: Database, wakeups: Wakeups, clock: Clock, capacity: EngineCapacity | None = None
    ) -> None:
        self._database = database
        # Only claims ask for it.
        self._capacity = capacity or EngineCapacity()
        self._wakeups = wakeups
        self._clock = clock

    def put(self, run_id: str, *, subject: str | None, engines: str | None = None, priority: int = 0) -> None:
        """Queue the run once, however often this is called."""
        row = {"run_id": run_id, "subject": subject, "engines": engines, "priority": priority}
        with self._database.transaction() as tx:
            new = tx.insert(warm_runs).values(**row, cancel_requested=False, enqueued_at=self._clock.now())
            tx.execute(new.on_conflict_do_nothing())
        self._wakeups.notify(RUNS_TOPIC)

    def claim(self, worker: str, *, telling: bool = False) -> str | None:
        """Take the most urgent, then oldest run whose subject is free and whose engines have a place.

        `telling`: of those that tell receivers, and wait for them most of the time; else of all others.
        """
        for _ in range(_CLAIMS):
            try:
                with self._database.transaction() as tx:
                    return self._claim(tx, worker, _of(telling=telling))
            except IntegrityError:
                # Another worker claimed a run of the same subject at the same moment: those of others may wait.
                continue
        return None

    def held(self, worker: str, *, telling: bool = False) -> Sequence[str]:
        """Runs that the worker has: its claim succeeded though its answer was lost, or its end could not be told."""
        with self._database.reading() as tx:
            mine = select(warm_runs.c.run_id).where(warm_runs.c.owner == worker, _of(telling=telling))
            return list(tx.execute(mine).scalars())

    def has_receivers(self) -> bool:
        """Whether a run waits that tells one."""
        with self._database.reading() as tx:
            waiting = select(warm_runs.c.run_id).where(warm_runs.c.owner.is_(None), _tells).limit(1)
            return tx.execute(waiting).first() is not None

    def _claim(self, tx: Transaction, worker: str, which: ColumnElement[bool]) -> str | None:
        busy = select(warm_runs.c.subject).where(_claimed, warm_runs.c.subject.is_not(None))
        free = and_(
            warm_runs.c.owner.is_(None), which, or_(warm_runs.c.subject.is_(None), warm_runs.c.subject.not_in(busy))
        )
        if full := self._without_place(tx):
            free = and_(free, or_(warm_runs.c.engines.is_(None), warm_runs.c.engines.not_in(full)))
        order = (warm_runs.c.priority.desc(), warm_runs.c.enqueued_at, warm_runs.c.run_id)
        run_id = tx.execute(
            select(warm_runs.c.run_id).where(free).order_by(*order).limit(1).with_for_update(skip_locked=True)
        ).scalar_one_or_none()
        if run_id is None:
            return None
        mine = update(warm_runs).where(warm_runs.c.run_id == run_id, warm_runs.c.owner.is_(None))
        taken = tx.execute(mine.values(owner=worker, claimed_at=self._clock.now()))
        return str(run_id) if taken.rowcount else None

    def _without_place(self, tx: Transaction) -> Sequence[str]:
        """Engines of waiting runs that have to go on waiting for one of them."""
        if not self._capacity:
            return ()
        # Two workers that count at the same moment would both take the last place.
        tx.lock("warm_runs.engines")
        named = select(warm_runs.c.engines).where(warm_runs.c.engines.is_not(None))
        running = tx.execute(named.where(_claimed)).scalars().all()
        waiting = tx.execute(named.where(warm_runs.c.owner.is_(None)).distinct()).scalars().all()
        return self._capacity.without_place(waiting, running=running)

    def waiting_for_places(self) -> Sequence[WaitingForPlace]:
        """Runs that no worker may take now, since an engine of theirs has no place."""
        if not self._capacity:
            return ()
        with self._database.reading() as tx:
            named = select(warm_runs.c.run_id, warm_runs.c.engines, warm_runs.c.owner)
            rows = list(tx.execute(named.where(warm_runs.c.engines.is_not(None)).order_by(warm_runs.c.enqueued_at)))
        running = {row.run_id: row.engines for row in rows if row.owner is not None}
        full = self._capacity.full(running.values())
        return [
            WaitingForPlace(row.run_id, engine, self._capacity.limits[engine], holders_of(engine, running))
            for row in rows
            if row.owner is None
            for engine in engines_in(row.engines)
            if engine in full
        ]

    def done(self, run_id: str) -> None:
        """Forget a run that ended; the next of its subject, or of its engines, may start."""
        with self._database.transaction() as tx:
            tx.execute(delete(warm_runs).where(warm_runs.c.run_id == run_id))
            waiting = select(warm_runs.c.run_id).where(warm_runs.c.owner.is_(None)).limit(1)
            if tx.execute(waiting).first() is not None:
                tx.on_commit(self.wake)

    def contains(self, run_id: str) -> bool:
        with self._database.reading() as tx:
            return _exists(tx, run_id)

    def cancel(self, run_id: str) -> Cancellation:
        """Take a waiting run back, or tell the worker that has it."""
        with self._database.transaction() as tx:
            waiting = and_(warm_runs.c.run_id == run_id, warm_runs.c.owner.is_(None))
            if tx.execute(delete(warm_runs).where(waiting)).rowcount:
                return Cancellation.REMOVED
            asked = update(warm_runs).where(warm_runs.c.run_id == run_id).values(cancel_requested=True)
            if not tx.execute(asked).rowcount:
                return Cancellation.ABSENT
        self._wakeups.notify(CANCELS_TOPIC)
        return Cancellation.ASKED

    def cancels(self, worker: str) -> Sequence[str]:
        """Runs of the worker that somebody wants stopped."""
        asked = and_(warm_runs.c.owner == worker, warm_runs.c.cancel_requested.is_(True))
        with self._database.reading() as tx:
            return list(tx.execute(select(warm_runs.c.run_id).where(asked)).scalars())

    def has_room(self, subject: str | None) -> bool:
        """Whether a run given now would start at once, or right after those that run."""
        with self._database.reading() as tx:
            workers = len(self._live(tx))
            telling = subject is not None and subject.startswith(WEBHOOK)
            each = TELLING_PER_WORKER if telling else WAITING_PER_WORKER
            queued = warm_runs.c.owner.is_(None)
            waiting = select(func.count()).select_from(warm_runs).where(queued, _of(telling=telling))
            if tx.execute(waiting).scalar_one() >= workers * each:
                return False
            same = select(warm_runs.c.run_id).where(warm_runs.c.subject == subject)
            return subject is None or tx.execute(same).first() is None

    def lost(self) -> Sequence[tuple[str, str]]:
        """Runs whose worker is dead, and the worker."""
        with self._database.reading() as tx:
            claimed = list(tx.execute(select(warm_runs.c.run_id, warm_runs.c.owner).where(_claimed)))
            live = self._live(tx) if claimed else set()
        return [(row.run_id, row.owner) for row in claimed if row.owner not in live]

    def owner(self, run_id: str) -> str | None:
        """The live worker that has the run."""
        with self._database.reading() as tx:
            owner = tx.execute(select(warm_runs.c.owner).where(warm_runs.c.run_id == run_id)).scalar_one_or_none()
            return owner if owner in self._live(tx) else None

    def beat(self, worker: str) -> None:
        """The worker is alive; its dead predecessors are forgotten."""
        now = self._clock.now()
        with self._database.transaction() as tx:
            known = update(warm_workers).where(warm_workers.c.id == worker).values(heartbeat_at=now)
            if not tx.execute(known).rowcount:
                tx.execute(tx.insert(warm_workers).values(id=worker, heartbeat_at=now))
                tx.execute(delete(warm_workers).where(warm_workers.c.id.not_in(self._live(tx))))

    def heartbeats(self) -> Mapping[str, Timestamp]:
        """When each live worker last said so."""
        with self._database.reading() as tx:
            live = self._live(tx)
            rows = tx.execute(select(warm_workers.c.id, warm_workers.c.heartbeat_at))
            return {row.id: row.heartbeat_at for row in rows if row.id in live}

    def leave(self, worker: str) -> None:
        with self._database.transaction() as tx:
            tx.execute(delete(warm_workers).where(warm_workers.c.id == worker))

    def listen(self, topic: str) -> Listener:
        return self._wakeups.listen(topic)

    def wake(self) -> None:
        """Let every worker look at the queue."""
        self._wakeups.notify(RUNS_TOPIC)

    def _live(self, tx: Transaction) -> set[str]:
        now = self._clock.now()
        rows = tx.execute(select(warm_workers.c.id, warm_workers.c.heartbeat_at))
        return {row.id for row in rows if is_alive(row.id, row.heartbeat_at, now)}


def _of(*, telling: bool) -> ColumnElement[bool]:
    return _tells if telling else not_(_tells)


def _exists(tx: Transaction, run_id: str) -> bool:
    return tx.execute(select(warm_runs.c.run_id).where(warm_runs.c.run_id == run_id)).first() is not None
