"""How many runs of an engine may execute at once, over all warm workers of the node."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kamu_assets.datasets.chains import Chains
from kamu_assets.errors import KamuError
from kamu_assets.odf.identity import DatasetID

_SEPARATOR = ","


def joined(engines: Iterable[str]) -> str | None:
    """Engines of one run as the text of a tag, or of a column; None when it needs none."""
    return _SEPARATOR.join(sorted(set(engines))) or None


def engine_of(chains: Chains, dataset: DatasetID) -> str | None:
    """The engine that computes a derivative; None for a root, and where that cannot be told now."""
    try:
        event = chains.state(dataset).transform
    except KamuError:
        # Its run will tell what is wrong with it.
        return None
    return event.transform.engine if event else None


@dataclass(frozen=True, slots=True)
class EngineCapacity:
    """The most runs by engine; engines that are not named have no such limit."""

    limits: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.limits)

    def without_place(self, waiting: Iterable[str], *, running: Iterable[str]) -> list[str]:
        """Which of the texts of waiting runs name an engine whose places are all taken."""
        taken = Counter(engine for text in running for engine in text.split(_SEPARATOR))
        full = {engine for engine, limit in self.limits.items() if taken[engine] >= limit}
        return [text for text in waiting if not full.isdisjoint(text.split(_SEPARATOR))]
