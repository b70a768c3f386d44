"""Ways to ask: a node in process, its API, and DataFusion alone. Each gives rows, and only the answer is timed."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import datafusion
import pyarrow as pa

from kamu_assets.engines.slices.listing import listing
from kamu_assets.node import Node
from kamu_assets.query.model import QueryRequest
from tests.bench.subject import expect

Rows = list[dict[str, Any]]
# Answers, and how long they took in milliseconds.
Ask = Callable[[], tuple[Any, float]]

_WARM: Final = 5
_IDLE_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class InProcess:
    """The query service, with a worker of its own."""

    node: Node

    def ask(self, sql: str) -> tuple[Rows, float]:
        caller, question = self.node.auth.admin_caller(), QueryRequest(sql)
        answer, took = _timed(lambda: self.node.query.query(caller, question))
        return answer.rows(), took


@dataclass(frozen=True, slots=True)
class Plain:
    """DataFusion as it comes, over the same slices."""

    context: datafusion.SessionContext

    @classmethod
    def over(cls, tables: Mapping[str, Sequence[str]]) -> Plain:
        context = datafusion.SessionContext()
        for name, files in tables.items():
            context.register_table(name, listing(context, files, hides_nan=False))
        return cls(context)

    def ask(self, sql: str) -> tuple[Rows, float]:
        batches, took = _timed(lambda: self.context.sql(sql).collect())
        return [row for batch in batches for row in pa.RecordBatch.to_pylist(batch)], took


class Api:
    """One client that keeps its connection as long as it is busy: the server closes those that are idle."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._used = -_IDLE_SECONDS

    def ask(self, sql: str) -> tuple[Rows, float]:
        body = json.dumps({"query": sql}).encode()
        self._connect()
        text, took = _timed(lambda: self._answer("POST", "/query", body))
        return json.loads(text)["output"]["data"], took

    def tail(self, dataset: str) -> tuple[Rows, float]:
        self._connect()
        text, took = _timed(lambda: self._answer("GET", f"/{dataset}/tail", None))
        return json.loads(text)["data"], took

    def _connect(self) -> None:
        if time.monotonic() - self._used >= _IDLE_SECONDS:
            self._connection.close()
            self._connection.connect()

    def _answer(self, method: str, path: str, body: bytes | None) -> bytes:
        self._connection.request(method, path, body, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        self._used = time.monotonic()
        expect(f"status of {path}: {text[:200]!r}", found=answer.status, wanted=200)
        return text


def interleaved(asks: Mapping[str, Ask], *, wanted: object, rounds: int) -> dict[str, list[float]]:
    """Milliseconds that each took, round by round in turns; every answer is the wanted one."""
    took: dict[str, list[float]] = {name: [] for name in asks}
    names = list(asks)
    for number in range(-_WARM, rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            found, millis = asks[name]()
            expect(f"answer of {name}", found=_short(found, wanted), wanted=_short(wanted, wanted))
            if number >= 0:
                took[name].append(millis)
    return took


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    result = work()
    return result, (time.perf_counter() - began) * 1000


def _short(value: object, wanted: object) -> str:
    """Enough to see what is wrong; nothing but the word if nothing is."""
    return "as wanted" if value == wanted else repr(value)[:300]
