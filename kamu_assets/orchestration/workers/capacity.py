"""How many runs of an engine may execute at once, over all warm workers of the node."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.errors import KamuError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.catalog.chain_engine import engine_in

_SEPARATOR = ","


def joined(engines: Iterable[str]) -> str | None:
    """Engines of one run as the text of a tag, or of a column; None when it needs none."""
    return _SEPARATOR.join(sorted(set(engines))) or None


def engines_in(text: str) -> list[str]:
    """The engines of such a text."""
    return text.split(_SEPARATOR)


def engine_of(chains: Chains, dataset: DatasetID) -> str | None:
    """The engine that a run of the dataset needs; None where it needs none, and where that cannot be told now."""
    try:
        return engine_in(chains.state(dataset))
    except KamuError:
        # Its run will tell what is wrong with it.
        return None


@dataclass(frozen=True, slots=True)
class WaitingForPlace:
    """A run that waits until one of those that hold the places of an engine has ended."""

    run_id: str
    engine: str
    places: int
    holders: Sequence[str]


def holders_of(engine: str, running: Mapping[str, str]) -> Sequence[str]:
    """Which of the running runs, with their engines, hold a place of this one."""
    return [run_id for run_id, text in running.items() if engine in engines_in(text)]


@dataclass(frozen=True, slots=True)
class EngineCapacity:
    """The most runs by engine; engines that are not named have no such limit."""

    limits: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.limits)

    def full(self, running: Iterable[str]) -> frozenset[str]:
        """Engines whose places are all taken by runs with these texts."""
        taken = Counter(engine for text in running for engine in engines_in(text))
        return frozenset(engine for engine, limit in self.limits.items() if taken[engine] >= limit)

    def without_place(self, waiting: Iterable[str], *, running: Iterable[str]) -> list[str]:
        """Which of the texts of waiting runs name an engine whose places are all taken."""
        full = self.full(running)
        return [text for text in waiting if not full.isdisjoint(engines_in(text))]
