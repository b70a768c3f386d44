"""Which scheduler leads, for people."""

from dataclasses import dataclass

from kamu_assets.database.database import Database
from kamu_assets.database.terms import newest_term
from kamu_assets.odf.timestamp import Timestamp

# What schedulers hold an election about, and the topic by which they tell each other that there is one.
ROLE = "scheduler"


@dataclass(frozen=True, slots=True)
class Leader:
    """The scheduler that leads, or led last."""

    process: str
    since: Timestamp
    term: int
    # Whether it does so now.
    leads: bool


def leader_of(database: Database) -> Leader | None:
    """None before a scheduler has led."""
    with database.reading() as tx:
        term = newest_term(tx, ROLE)
    if term is None:
        return None
    return Leader(term.holder, term.since, term.number, not database.leadership(ROLE).is_vacant())
