"""The history of queries, as callers see it: their own; admins see all.

Of the texts of queries the beginning is kept, without secrets as far as they can be recognized: not every password that
somebody writes into a query looks like one.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.database.database import Database
from kamu_assets.monitoring.secrets import SecretHider
from kamu_assets.odf.identity import AccountID
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.query.history.model import QueryEndedError, QueryNotFoundError, QueryRecord, QueryState
from kamu_assets.query.history.query_ids import first_id
from kamu_assets.query.history.store import QueryStore

# Processes tell every second of those that run.
_SILENCE_SECONDS: Final = 60.0
_DAY_SECONDS: Final = 86_400.0
# Removed in one transaction: others want to write meanwhile.
_PRUNED_AT_ONCE: Final = 5_000
_TEXTS_REMEMBERED: Final = 256


class QueryHistory:
    """Reads and keeps the rows of all processes."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._store = QueryStore()
        # The same queries are asked again and again.
        self._hidden = lru_cache(_TEXTS_REMEMBERED)(SecretHider().hide)

    def list(
        self,
        caller: Caller,
        *,
        account: AccountID | None = None,
        state: QueryState | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[QueryRecord]:
        """Newest first; `before` is the last id of the page before."""
        if not caller.is_admin:
            if caller.account is None or account not in (None, caller.account.id):
                return []
            account = caller.account.id
        alive = self._since(_SILENCE_SECONDS) if state is QueryState.RUNNING else None
        with self._database.reading() as tx:
            found = self._store.list(tx, account=account, state=state, seen_after=alive, before=before, limit=limit)
        return [self._seen_now(each) for each in found]

    def get(self, caller: Caller, query: str) -> QueryRecord:
        """QueryNotFoundError, also for those of others."""
        with self._database.reading() as tx:
            found = self._store.find(tx, query)
        if found is None or not (caller.is_admin or (found.account is not None and caller.is_account(found.account))):
            raise QueryNotFoundError(query)
        return self._seen_now(found)

    def cancel(self, caller: Caller, query: str) -> None:
        """Have the process stop it in which it runs, which takes a second or two; QueryEndedError."""
        found = self.get(caller, query)
        with self._database.transaction() as tx:
            runs = found.state is QueryState.RUNNING and self._store.request_cancel(tx, query)
        if not runs:
            raise QueryEndedError(query, self.get(caller, query).state)

    def add(self, records: Sequence[QueryRecord]) -> None:
        """Queries that have ended."""
        with self._database.transaction() as tx:
            self._store.save(tx, [self._without_secrets(each) for each in records])

    def tend(self, running: Sequence[QueryRecord]) -> Collection[str]:
        """Tell of queries that run; tells which are to be cancelled."""
        with self._database.transaction() as tx:
            self._store.save(tx, [self._without_secrets(each) for each in running])
            return self._store.cancelled(tx, [each.id for each in running])

    def prune(self, *, keep_days: float) -> int:
        """Forget older ones; tells how many."""
        oldest, total = first_id(self._since(keep_days * _DAY_SECONDS)), 0
        while True:
            with self._database.transaction() as tx:
                count = self._store.prune(tx, oldest, limit=_PRUNED_AT_ONCE)
            total += count
            if count < _PRUNED_AT_ONCE:
                return total

    def _since(self, seconds: float) -> Timestamp:
        return Timestamp(self._clock.now().ns - round(seconds * 1e9))

    def _without_secrets(self, record: QueryRecord) -> QueryRecord:
        sql = record.sql and self._hidden(record.sql)
        message = record.message and self._hidden(record.message)
        return replace(record, sql=sql, message=message)

    def _seen_now(self, record: QueryRecord) -> QueryRecord:
        is_silent = record.state is QueryState.RUNNING and record.seen_at <= self._since(_SILENCE_SECONDS)
        return replace(record, state=QueryState.LOST) if is_silent else record
