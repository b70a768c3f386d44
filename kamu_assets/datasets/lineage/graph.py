"""How the datasets of a node hang together, as far as somebody may know: a picture of one moment."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.identity import DatasetID


@dataclass(frozen=True)
class LineageGraph:
    """Datasets, and what each is computed from."""

    entries: Mapping[DatasetID, DatasetEntry]
    # An input that is no entry is not on this node, or not for the caller's eyes.
    inputs: Mapping[DatasetID, Sequence[DatasetID]]

    @cached_property
    def dependents(self) -> Mapping[DatasetID, Sequence[DatasetID]]:
        """The other way round: derivatives that read each dataset directly, by name."""
        found: dict[DatasetID, list[DatasetID]] = {}
        for reader in self.entries:
            for read in dict.fromkeys(self.inputs.get(reader, ())):
                found.setdefault(read, []).append(reader)
        return found

    def upstream(self, datasets: Iterable[DatasetID]) -> "LineageGraph":
        """The part that holds the datasets and all that they are computed from."""
        return self._part(_reached(datasets, self.inputs))

    def downstream(self, datasets: Iterable[DatasetID]) -> "LineageGraph":
        """The part that holds the datasets and all that is computed from them."""
        return self._part(_reached(datasets, self.dependents))

    def inputs_first(self, datasets: Iterable[DatasetID] | None = None) -> Sequence[DatasetEntry]:
        """The datasets, or all: each after everything that it is computed from, and otherwise as they were named."""
        wanted = dict.fromkeys(self.entries if datasets is None else datasets)
        # What lies between two of them counts, too.
        ways = {id_: self.inputs.get(id_, ()) for id_ in (*wanted, *self.entries)}
        order = TopologicalSorter(ways).static_order()
        return [self.entries[id_] for id_ in order if id_ in wanted and id_ in self.entries]

    def _part(self, datasets: Collection[DatasetID]) -> "LineageGraph":
        entries = {id_: entry for id_, entry in self.entries.items() if id_ in datasets}
        return LineageGraph(entries, {id_: self.inputs.get(id_, ()) for id_ in entries})


def _reached(start: Iterable[DatasetID], ways: Mapping[DatasetID, Sequence[DatasetID]]) -> set[DatasetID]:
    reached: set[DatasetID] = set()
    frontier = list(start)
    while frontier:
        dataset = frontier.pop()
        if dataset not in reached:
            reached.add(dataset)
            frontier += ways.get(dataset, ())
    return reached
