"""Queries in process, by REST and by plain DataFusion over the same files; many slices against few; kamu's own times.

Comparisons are of times that follow each other: the median of their ratios, or of their differences.
The reference's times are of an idle machine like ours (release build, REST, 600 slices of 10 rows): the limits are
ours, what it took stands beside them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from operator import sub, truediv
from pathlib import Path
from statistics import median

from kamu_assets.node import Node
from tests.bench.measurement import Machine, Measurement, spread
from tests.bench.query.asking import Api, Ask, InProcess, Plain, interleaved
from tests.bench.query.memory import memory_over_queries
from tests.bench.query.questions import ALL, COUNT, LAST, NARROW, Question
from tests.bench.query.served import served
from tests.bench.query.sliced import Sliced, files_of, packs_of, sliced
from tests.bench.subject import expect

FEW, MANY, SMALL = "few", "many", "small"
DATASETS = {FEW: Sliced(5_000_000, 50), MANY: Sliced(5_000_000, 1_000), SMALL: Sliced(6_000, 600)}
ROUNDS = 30

PLAIN_RATIO, PLAIN_MS = 1.2, 2.0
REST_MS = 6.0
MANY_RATIO = 2.0
# So many queries in a row that put nothing together: all is.
_SETTLING = 3


@dataclass(frozen=True, slots=True)
class Against:
    """Milliseconds: the most it may take, what it should, and what kamu took."""

    limit: float
    stretch: float
    kamu: float


REFERENCE = {"count": Against(10, 5, 51), "last 100": Against(15, 10, 74), "tail": Against(8, 5, 3.7)}


def measure() -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory(prefix="kamu-bench-") as folder, sliced(Path(folder), DATASETS) as node:
        assert node.query
        node.query_pool.warm_up(1)
        yield from _first(node)
        with served(Path(folder)) as api:
            bench = Bench(node, api.client())
            yield from bench.measurements()
            yield from memory_over_queries(api, table=SMALL, rows=DATASETS[SMALL].rows)


def _first(node: Node) -> Iterator[Measurement]:
    """What it takes once: small slices are put together, a while at each query, and less and less so."""
    here = InProcess(node)
    for name in (SMALL, MANY):
        machine, took = Machine.now(), list(_until_settled(here, name))
        yield Measurement(
            f"w8: count, first over {DATASETS[name].slices:,} slices",
            took[0],
            "ms",
            machine,
            details={"until_packed_ms": sum(took), "queries": len(took)},
        )


def _until_settled(here: InProcess, name: str) -> Iterator[float]:
    files = -1
    while files != (files := len(list(packs_of(here.node, name)))):
        for _ in range(_SETTLING):
            rows, took = here.ask(COUNT.of(name))
            expect("count", found=rows, wanted=[{"n": DATASETS[name].rows}])
            yield took


def _by_allowed(here: float, plain: float) -> float:
    return here / max(PLAIN_RATIO * plain, plain + PLAIN_MS)


class Bench:
    """The questions, once everything is warm."""

    def __init__(self, node: Node, api: Api) -> None:
        self._here = InProcess(node)
        self._api = api
        self._plain = Plain.over({name: files_of(node, name) for name in DATASETS})

    def measurements(self) -> Iterator[Measurement]:
        for question in ALL:
            yield from self._over_plain(question)
        for question in NARROW:
            yield self._many_by_few(question)
        yield self._by_reference(COUNT.name, self._asked(COUNT), self._wanted(COUNT, SMALL))
        yield self._by_reference(LAST.name, self._asked(LAST), self._wanted(LAST, SMALL))
        yield self._by_reference("tail", self._newest, [5_900 + number for number in range(100)])

    def _over_plain(self, question: Question) -> Iterator[Measurement]:
        sql, machine = question.of(FEW), Machine.now()
        asks: dict[str, Ask] = {
            "plain": lambda: self._plain.ask(sql),
            "here": lambda: self._here.ask(sql),
            "rest": lambda: self._api.ask(sql),
        }
        took = interleaved(asks, wanted=self._wanted(question, FEW), rounds=ROUNDS)
        figures = {f"{name}_ms": median(took[name]) for name in asks}
        yield Measurement(
            f"w8: {question.name}, in process / allowed",
            median(map(_by_allowed, took["here"], took["plain"])),
            "x",
            machine,
            limit=1.0,
            details={**figures, "ratio": figures["here_ms"] / figures["plain_ms"], **spread(took["here"])},
        )
        yield Measurement(
            f"w8: {question.name}, REST over in process",
            median(map(sub, took["rest"], took["here"])),
            "ms",
            machine,
            limit=REST_MS,
            details={**figures, **spread(took["rest"])},
        )

    def _many_by_few(self, question: Question) -> Measurement:
        machine = Machine.now()
        asks: dict[str, Ask] = {
            FEW: lambda: self._here.ask(question.of(FEW)),
            MANY: lambda: self._here.ask(question.of(MANY)),
        }
        took = interleaved(asks, wanted=self._wanted(question, MANY), rounds=ROUNDS)
        return Measurement(
            f"w8: {question.name}, 1,000 slices / 50 slices",
            median(map(truediv, took[MANY], took[FEW])),
            "x",
            machine,
            limit=MANY_RATIO,
            details={"few_ms": median(took[FEW]), "many_ms": median(took[MANY]), **spread(took[MANY])},
        )

    def _by_reference(self, name: str, ask: Ask, wanted: object) -> Measurement:
        machine, against = Machine.now(), REFERENCE[name]
        took = interleaved({"rest": ask}, wanted=wanted, rounds=ROUNDS)["rest"]
        told = {"ms": median(took), "limit_ms": against.limit, "stretch_ms": against.stretch, "kamu_ms": against.kamu}
        return Measurement(
            f"w8: {name}, 600 slices, REST / {against.limit:g} ms",
            median(took) / against.limit,
            "x",
            machine,
            limit=1.0,
            details={**told, **spread(took)},
        )

    def _asked(self, question: Question) -> Ask:
        return lambda: self._api.ask(question.of(SMALL))

    def _newest(self) -> tuple[list[int], float]:
        rows, took = self._api.tail(f"kamu/{SMALL}")
        return [row["id"] for row in rows], took

    def _wanted(self, question: Question, table: str) -> object:
        """As DataFusion finds it without us."""
        rows, _ = self._plain.ask(question.of(table))
        assert rows
        return rows
