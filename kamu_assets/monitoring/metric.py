"""Kinds of metrics, as they are declared: nothing is kept, and no client library loaded, until a process wants to.

Commands of `kamu-node` run through the same code as the node's processes, and should not pay for it.
"""

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

PREFIX = "kamu_node_"


class Ledger:
    """All metrics of this process."""

    def __init__(self) -> None:
        self._declared: list[_Metric] = []
        self._registry: CollectorRegistry | None = None
        self._lock = threading.Lock()

    def declare(self, metric: "_Metric") -> None:
        with self._lock:
            self._declared.append(metric)
            if self._registry is not None:
                metric.keep(self._registry)

    def open(self) -> "CollectorRegistry":
        """Keep what is counted from the first call on."""
        from prometheus_client import CollectorRegistry

        with self._lock:
            if self._registry is None:
                self._registry = CollectorRegistry()
                for metric in self._declared:
                    metric.keep(self._registry)
            return self._registry


LEDGER = Ledger()


class _Metric:
    """One number, or one for each combination of labels. Labels have few values: never the name of a dataset."""

    def __init__(self, name: str, meaning: str, *labels: str) -> None:
        self.name = PREFIX + name
        self._meaning = meaning
        self._labels = labels
        self._kept: Any = None
        LEDGER.declare(self)

    def keep(self, registry: "CollectorRegistry") -> None:
        """Count from now on, for whoever reads this registry."""
        raise NotImplementedError

    def _one(self, labels: tuple[str, ...]) -> Any:
        """What the client library has for these labels; None as long as nobody keeps it."""
        return self._kept.labels(*labels) if self._kept is not None and self._labels else self._kept


class Counter(_Metric):
    """Only grows; its name ends in `_total`."""

    def keep(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Counter as Kept

        self._kept = Kept(self.name, self._meaning, self._labels, registry=registry)

    def add(self, *labels: str, by: float = 1) -> None:
        if (one := self._one(labels)) is not None:
            one.inc(by)


class Gauge(_Metric):
    """Goes up and down."""

    def keep(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Gauge as Kept

        self._kept = Kept(self.name, self._meaning, self._labels, registry=registry)

    def add(self, *labels: str, by: float = 1) -> None:
        if (one := self._one(labels)) is not None:
            one.inc(by)

    def set(self, value: float, *labels: str) -> None:
        if (one := self._one(labels)) is not None:
            one.set(value)


class Histogram(_Metric):
    """How often a value was up to each of some bounds, and the sum of all."""

    def __init__(self, name: str, meaning: str, *labels: str, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        super().__init__(name, meaning, *labels)

    def keep(self, registry: "CollectorRegistry") -> None:
        from prometheus_client import Histogram as Kept

        self._kept = Kept(self.name, self._meaning, self._labels, registry=registry, buckets=self._bounds)

    def observe(self, value: float, *labels: str) -> None:
        if (one := self._one(labels)) is not None:
            one.observe(value)
