"""Metrics on their way from a process to whoever scrapes the node."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kamu_assets.monitoring.metric import LEDGER, PREFIX
from kamu_assets.monitoring.process_figures import ProcessFigures, all_processes, family

if TYPE_CHECKING:
    from prometheus_client import Metric

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the text."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with all its lines."""

    name: str
    meaning: str
    kind: str
    samples: Sequence[Sample] = field(default_factory=tuple)

    def of(self, process: str) -> "Family":
        """The same, telling where it comes from."""
        samples = [Sample(one.name, {**one.labels, "process": process}, one.value) for one in self.samples]
        return Family(self.name, self.meaning, self.kind, samples)


def own_families() -> list[Family]:
    """What this process has counted, and what it uses."""
    kept = [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            # When each was made is of no use to anybody.
            [Sample(one.name, one.labels, one.value) for one in metric.samples if not one.name.endswith("_created")],
        )
        for metric in LEDGER.open().collect()
    ]
    return [*kept, *usage(os.getpid(), all_processes())]


def usage(pid: int, among: list[ProcessFigures]) -> list[Family]:
    """Memory and CPU of a process and those it has started."""
    found = list(family(pid, among))
    memory, cpu = f"{PREFIX}process_memory_bytes", f"{PREFIX}process_cpu_seconds"
    return [
        gauge(memory, "Memory of a process and its workers", sum(each.memory_bytes for each in found)),
        Family(
            cpu,
            "CPU time of a process and its workers",
            "counter",
            [Sample(f"{cpu}_total", {}, sum(each.cpu_seconds for each in found))],
        ),
    ]


def gauge(name: str, meaning: str, value: float) -> Family:
    """A single number."""
    return Family(name, meaning, "gauge", [Sample(name, {}, value)])


def encode(families: Iterable[Family]) -> bytes:
    """For another process of the node."""
    rows = [
        [each.name, each.meaning, each.kind, [[one.name, dict(one.labels), one.value] for one in each.samples]]
        for each in families
    ]
    return json.dumps(rows).encode()


def decode(data: bytes) -> list[Family]:
    """What `encode` made; ValueError for what it did not."""
    return [
        Family(name, meaning, kind, [Sample(*sample) for sample in samples])
        for name, meaning, kind, samples in json.loads(data)
    ]


def text_of(families: Iterable[Family]) -> bytes:
    """For Prometheus: lines of one name stay together, whichever processes they come from."""
    from prometheus_client import generate_latest

    return generate_latest(_Collected(families))


class _Collected:
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator["Metric"]:
        from prometheus_client import Metric

        merged: dict[str, Metric] = {}
        for each in self._families:
            metric = merged.setdefault(each.name, Metric(each.name, each.meaning, each.kind))
            for one in each.samples:
                metric.add_sample(one.name, dict(one.labels), one.value)
        yield from merged.values()
