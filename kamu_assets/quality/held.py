"""The rows of a dataset that hold, one by one, as SQL. Pure.

Sums tell how many rows hold, not which, where a retraction need not equal what it retracts: a snapshot's has the time
of the snapshot. So each is paired with what it takes back: the newest row before it that is equal in all columns but
the system's, and of those one of the same event time first.
"""

from collections.abc import Sequence

from kamu_assets.quality.columns import Table
from kamu_assets.quality.sql import ROWS, offset, quoted, sign, taken

_BALANCE, _BEFORE, _AFTER = (quoted(f"\u2063{name}") for name in ("balance", "before", "after"))


def rows_that_hold(table: Table) -> str:
    """A subquery with the columns of the dataset."""
    columns = [quoted(name) for name in table.types if name not in table.system_columns]
    time = [quoted(table.vocab.event_time_column)] if table.vocab.event_time_column in table.types else []
    paired = _unpaired(ROWS, [*columns, *time], table)
    return f"(select * from {_unpaired(paired, columns, table)} where {taken(table)} = 0)"


def _unpaired(source: str, equal: Sequence[str], table: Table) -> str:
    """Without pairs of a row and one that takes it back: as of brackets, the innermost belong together."""
    over = f"partition by {', '.join(equal) or '1'} order by {offset(table)} rows between"
    balance = f"sum({sign(table)}) over ({over} unbounded preceding and current row) as {_BALANCE}"
    before = f"min({_BALANCE}) over ({over} unbounded preceding and 1 preceding) as {_BEFORE}"
    after = f"min({_BALANCE}) over ({over} 1 following and unbounded following) as {_AFTER}"
    holds = f"coalesce({_AFTER}, {_BALANCE}) >= {_BALANCE}"
    takes_nothing = f"{_BALANCE} < least(0, coalesce({_BEFORE}, 0))"
    columns = ", ".join(map(quoted, table.types))
    return (
        f"(select {columns} from (select *, {before}, {after} from (select *, {balance} from {source}))"
        f" where case when {taken(table)} = 0 then {holds} else {takes_nothing} end)"
    )
