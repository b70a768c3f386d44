"""Counts the rows that break rules: new slices only where the rule permits, one pass for rules about single rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.quality import sql
from kamu_assets.quality.columns import Table
from kamu_assets.quality.held import rows_that_hold
from kamu_assets.quality.model import NotNull, Range, RowCountChange, Unique
from kamu_assets.quality.results import Tally

# Runs a query over the rows of the dataset, as of the block that is checked.
Ask = Callable[[str], Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known of a rule already: the tally of the rows before an offset."""

    tally: Tally = field(default_factory=Tally)
    first: int = 0
    # Commits after this moment come in the place of those from `first` on, where there are any.
    after: Timestamp | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What commits did to the number of rows that hold."""

    commits: int
    broken: int
    low: int
    high: int
    # Where some of those begin that break the rule, newest first.
    offsets: tuple[int, ...] = ()


class Counting:
    """Over one dataset at one block."""

    def __init__(self, table: Table, ask: Ask) -> None:
        self._table = table
        self._ask = ask

    def by_row(self, rules: Sequence[NotNull | Range], begun: Sequence[Begun]) -> Sequence[Tally]:
        """Tallies of rules that are counted up to the same offset already."""
        first = begun[0].first
        conditions = [sql.breaks(rule, self._table) for rule in rules]
        (row,) = self._ask(sql.counts(conditions, self._table, first=first))
        found = [Tally(row[f"broken{number}"], row[f"taken{number}"]) for number in range(len(rules))]
        each = zip(conditions, begun, found, strict=True)
        return [self._together(condition, before.tally, new, first) for condition, before, new in each]

    def unique(self, rule: Unique, begun: Begun) -> Tally:
        """Where nothing repeated before, only what is new can; else all is counted again."""
        first = 0 if begun.tally.broken else begun.first
        (row,) = self._ask(sql.repeats(rule.columns, self._table, first=first))
        broken = int(row["broken"])
        return Tally(broken, offsets=self._places(sql.repeated_offsets(rule.columns, self._table)) if broken else ())

    def needs_pairs(self, rule: NotNull | Range | Unique) -> bool:
        """Whether it speaks of columns in which a retraction need not equal what it retracts."""
        return self._table.needs_pairs((rule.column,) if isinstance(rule, Range) else rule.columns)

    def in_pairs(self, rule: NotNull | Range | Unique, begun: Begun) -> Tally:
        """The same of such a rule: all is counted again, once anything was retracted."""
        (row,) = self._ask(sql.takes(self._table))
        if not row["taken"]:
            return self.unique(rule, begun) if isinstance(rule, Unique) else self.by_row([rule], [begun])[0]
        return self._among(rows_that_hold(self._table), rule)

    def first_commit(self, begun: Begun) -> int:
        """Where the commits begin that are to be judged."""
        if begun.after is None:
            return begun.first
        (row,) = self._ask(sql.first_after(begun.after, self._table))
        return begun.first if row["place"] is None else int(row["place"])

    def changes(self, rule: RowCountChange, *, first: int) -> Changes:
        """Of the commits from an offset on."""
        (row,) = self._ask(sql.changes(rule, self._table, first=first))
        broken = int(row["broken"])
        places = self._places(sql.broken_commits(rule, self._table, first=first)) if broken else ()
        return Changes(int(row["commits"]), broken, int(row["low"]), int(row["high"]), places)

    def _among(self, rows: str, rule: NotNull | Range | Unique) -> Tally:
        """Over rows of which none is taken back."""
        if isinstance(rule, Unique):
            (row,) = self._ask(sql.repeats(rule.columns, self._table, first=0, source=rows))
            places = sql.repeated_offsets(rule.columns, self._table, source=rows)
            broken = int(row["broken"])
        else:
            condition = sql.breaks(rule, self._table)
            (row,) = self._ask(sql.counts([condition], self._table, first=0, source=rows))
            places = sql.offsets(condition, self._table, first=0, source=rows)
            broken = int(row["broken0"])
        return Tally(broken, offsets=self._places(places) if broken else ())

    def _together(self, condition: str, before: Tally, new: Tally, first: int) -> Tally:
        """Old and new, with the places of some rows that break the rule."""
        both = Tally(before.broken + new.broken, before.taken + new.taken)
        if both.broken <= 0:
            return both
        if both.taken:
            # Some of those that were known may be right by now.
            return replace(both, offsets=self._places(sql.offsets_that_hold(condition, self._table)))
        fresh = self._places(sql.offsets(condition, self._table, first=first)) if new.broken else ()
        return replace(both, offsets=(*fresh, *before.offsets)[: sql.MAX_OFFSETS])

    def _places(self, query: str) -> tuple[int, ...]:
        return tuple(row["place"] for row in self._ask(query))
