"""Lineage as a tree of characters, and as a Mermaid flowchart."""

from collections.abc import Iterator, Sequence

from kamu_assets.datasets.lineage.graph import LineageGraph
from kamu_assets.odf.identity import DatasetID

_MERMAID_SHAPES = {"Root": ("[(", ")]"), "Derivative": ("[", "]"), "unknown": ("([", "])")}


def tree_lines(graph: LineageGraph, tops: Sequence[DatasetID]) -> Iterator[str]:
    """Each of `tops` with its inputs below it; what was told before is not told again."""
    told: set[DatasetID] = set()
    # Of lines to come: the dataset, what leads to its line, what leads to those below it.
    waiting = [(top, "", "") for top in reversed(tops)]
    while waiting:
        dataset, lead, indent = waiting.pop()
        inputs = _inputs(graph, dataset)
        again = dataset in told and bool(inputs)
        yield lead + label(graph, dataset) + (" …" if again else "")
        told.add(dataset)
        for number, read in enumerate(() if again else reversed(inputs)):
            branch, below = ("└── ", "    ") if number == 0 else ("├── ", "│   ")
            waiting.append((read, indent + branch, indent + below))


def tops_of(graph: LineageGraph) -> list[DatasetID]:
    """The datasets that nobody reads, by name."""
    return [dataset for dataset in graph.entries if not graph.dependents.get(dataset)]


def mermaid_lines(graph: LineageGraph) -> Iterator[str]:
    """Arrows go the way that data goes; roots are cylinders."""
    yield "flowchart LR"
    numbers = {dataset: number for number, dataset in enumerate(all_nodes(graph))}
    for dataset, number in numbers.items():
        opening, closing = _MERMAID_SHAPES[kind_of(graph, dataset)]
        yield f'  n{number}{opening}"{name_of(graph, dataset)}"{closing}'
    for dataset in graph.entries:
        for read in _inputs(graph, dataset):
            yield f"  n{numbers[read]} --> n{numbers[dataset]}"


def all_nodes(graph: LineageGraph) -> list[DatasetID]:
    """The datasets, and inputs that are not here."""
    inputs = (read for dataset in graph.entries for read in graph.inputs.get(dataset, ()))
    return list(dict.fromkeys((*graph.entries, *inputs)))


def label(graph: LineageGraph, dataset: DatasetID) -> str:
    """Name and kind."""
    kind = kind_of(graph, dataset)
    return f"{name_of(graph, dataset)} ({'not on this node' if kind == 'unknown' else kind})"


def name_of(graph: LineageGraph, dataset: DatasetID) -> str:
    entry = graph.entries.get(dataset)
    return str(dataset) if entry is None else str(entry.alias)


def kind_of(graph: LineageGraph, dataset: DatasetID) -> str:
    entry = graph.entries.get(dataset)
    return "unknown" if entry is None else entry.kind.value


def lineage_facts(graph: LineageGraph) -> list[dict[str, object]]:
    """One object per dataset, inputs before what reads them."""
    return [
        {
            "id": str(entry.id),
            "dataset": str(entry.alias),
            "kind": entry.kind.value,
            "inputs": [{"id": str(read), "dataset": _known(graph, read)} for read in _inputs(graph, entry.id)],
            "dependents": [name_of(graph, reader) for reader in graph.dependents.get(entry.id, ())],
        }
        for entry in graph.inputs_first()
    ]


def _known(graph: LineageGraph, dataset: DatasetID) -> str | None:
    return name_of(graph, dataset) if dataset in graph.entries else None


def _inputs(graph: LineageGraph, dataset: DatasetID) -> list[DatasetID]:
    """Each once, though a transform may read one under two names."""
    return list(dict.fromkeys(graph.inputs.get(dataset, ())))
