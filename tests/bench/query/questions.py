"""What is asked, of events whose ids are their offsets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Question:
    """SQL over a table yet to be named."""

    name: str
    sql: str

    def of(self, table: str) -> str:
        return self.sql.format(table)


COUNT: Final = Question("count", "select count(*) as n from {}")
LAST: Final = Question("last 100", 'select id, symbol, note, qty from {} order by "offset" desc limit 100')
POINT: Final = Question("point", 'select id, symbol, note, qty from {} where "offset" = 12345')
# Events are a tenth of a second apart, and out of order by two seconds at most.
HOUR: Final = Question(
    "one hour",
    "select count(*) as n, sum(qty) as q, min(symbol) as s from {} where event_time"
    " between timestamp '2023-11-14T22:23:20' and timestamp '2023-11-14T23:23:20'",
)
SUM: Final = Question("filter and sum", "select sum(qty) as q from {} where symbol = 'SYM0042' and price < 100")
GROUP: Final = Question(
    "group", "select symbol, count(*) as n, sum(qty) as q from {} group by symbol order by symbol limit 100"
)
ALL: Final = (POINT, COUNT, LAST, SUM, GROUP, HOUR)
# Those that need not read everything.
NARROW: Final = (COUNT, LAST, POINT, HOUR)
