"""Terms of office: each time somebody takes a role it gets the next number, and who had it before can change no row.

A lock tells who leads (`leadership`). It cannot stop whoever has lost it and does not know that yet; the number does:
every transaction of a leader begins with a look whether it is still the newest, and a new term begins only when the
transactions that have looked are over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Column, String, Table, Text, bindparam, func, select

from kamu_assets.database.columns import TimestampColumn
from kamu_assets.database.frequent import Frequent
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.errors import ConflictError
from kamu_assets.odf.timestamp import Timestamp

leaders = Table(
    "leaders",
    metadata,
    Column("role", String(100), primary_key=True),
    Column("term", BigInteger, nullable=False),
    Column("holder", Text, nullable=False),
    Column("since", TimestampColumn, nullable=False),
)
_LOOK = select(leaders.c.term).where(leaders.c.role == bindparam("role"))
_LOOK_ALONE = Frequent(_LOOK)
# Where rows have locks, nobody begins a term before the transaction that has looked is over. The server ends it when
# nothing more is heard of it: its process may be stopped, its machine gone. True: a setting of this transaction only.
_ENDED_SECONDS = 20
_END = func.set_config("idle_in_transaction_session_timeout", bindparam("milliseconds"), True)
_LOOK_AND_HOLD = _LOOK.add_columns(_END).with_for_update(read=True)


class DeposedError(ConflictError):
    """Somebody else has the role now: what was begun in an earlier term is left to them."""

    def __init__(self, term: "Term") -> None:
        super().__init__(f"{term.holder} is no longer {term.role}: its term {term.number} is over")
        self.term = term


@dataclass(frozen=True, slots=True)
class Term:
    """A time in which one process has a role."""

    role: str
    number: int
    holder: str
    since: Timestamp

    def require(self, tx: Transaction) -> None:
        """Let `tx` commit only while no later term has begun; DeposedError."""
        if [row.term for row in self._look(tx)] != [self.number]:
            raise DeposedError(self)

    def is_newest(self, tx: Transaction) -> bool:
        """Whether no later one has begun as far as can be seen now."""
        return tx.execute(_LOOK, {"role": self.role}).scalar_one_or_none() == self.number

    def _look(self, tx: Transaction) -> Sequence[Any]:
        role = {"role": self.role}
        if tx.is_sqlite:
            return tx.find(_LOOK_ALONE, role)
        return tx.execute(_LOOK_AND_HOLD, {**role, "milliseconds": str(round(_ENDED_SECONDS * 1000))}).all()


def begin_term(tx: Transaction, role: str, *, holder: str, now: Timestamp) -> Term:
    """For whoever has just taken the role; waits for transactions of the term before."""
    values = {"holder": holder, "since": now}
    new = tx.insert(leaders).values(role=role, term=1, **values)
    begun = new.on_conflict_do_update(index_elements=["role"], set_={"term": leaders.c.term + 1, **values})
    return Term(role, tx.execute(begun.returning(leaders.c.term)).scalar_one(), holder, now)


def newest_term(tx: Transaction, role: str) -> Term | None:
    """The last that has begun, which may be over; None before the first."""
    row = tx.execute(select(leaders).where(leaders.c.role == role)).one_or_none()
    return None if row is None else Term(row.role, row.term, row.holder, row.since)
