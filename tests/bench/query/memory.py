"""What a node keeps after thousands of queries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.measurement import Machine, Measurement
from tests.bench.query.asking import Api
from tests.bench.query.questions import COUNT, LAST
from tests.bench.query.served import Served
from tests.bench.subject import expect

QUERIES = 10_000
# From here on nothing should be added.
SETTLED = 1_000
LOOK_EVERY = 500
LIMIT = 1.1
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class _Look:
    """Resident bytes after some queries."""

    front: int
    workers: int

    @classmethod
    def at(cls, served: Served) -> _Look:
        return cls(served.front().rss, max(memory.rss for memory in served.workers()))


def memory_over_queries(served: Served, *, table: str, rows: int) -> Iterator[Measurement]:
    """The most that was seen later, by what there was after the first thousand."""
    machine, client = Machine.now(), served.client()
    looks: dict[int, _Look] = {}
    for number in range(1, QUERIES + 1):
        _ask(client, number, table, rows)
        if number % LOOK_EVERY == 0:
            looks[number] = _Look.at(served)
    later = [look for number, look in looks.items() if number > SETTLED]
    yield _flat("front", looks[SETTLED].front, [look.front for look in later], machine)
    yield _flat("query worker", looks[SETTLED].workers, [look.workers for look in later], machine)


def _ask(client: Api, number: int, table: str, rows: int) -> None:
    """No two of them are the same text, but for counts."""
    match number % 4:
        case 0:
            sql, wanted = COUNT.of(table), [rows]
        case 1:
            sql, wanted = f'select id from {table} where "offset" = {number % rows}', [number % rows]
        case 2:
            newest = rows - 1 - number % 50
            sql, wanted = f"{LAST.of(table)} offset {number % 50}", [newest - older for older in range(100)]
        case _:
            sql, wanted = f"select count(*) as n from {table} where id % {number} = 0", [(rows - 1) // number + 1]
    found, _ = client.ask(sql)
    expect(sql, found=[row.get("id", row.get("n")) for row in found], wanted=wanted)


def _flat(who: str, settled: int, later: list[int], machine: Machine) -> Measurement:
    return Measurement(
        f"w8: {who}, memory over {QUERIES:,} queries / {SETTLED:,}",
        max(later) / settled,
        "x",
        machine,
        limit=LIMIT,
        by_clock=False,
        details={"settled_mb": settled / MB, "last_mb": later[-1] / MB, "max_mb": max(later) / MB},
    )
