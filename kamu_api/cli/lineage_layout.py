"""Where the boxes of a lineage picture go: layers from left to right, few crossings between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BOX_WIDTH = 220
BOX_HEIGHT = 46
_GAP_X = 90
_GAP_Y = 22
_MARGIN = 30
_SWEEPS = 6


@dataclass(frozen=True, slots=True)
class Layout:
    """Left upper corners of the boxes, and how much room they take together."""

    places: Mapping[int, tuple[int, int]]
    width: int
    height: int


def lay_out(nodes: int, edges: Sequence[tuple[int, int]]) -> Layout:
    """Place nodes 0, 1, …; edges go from input to reader, and no way leads back."""
    readers, inputs = _neighbours(nodes, edges)
    layers = _ordered(_layers(nodes, inputs, readers), inputs, readers)
    tallest = max((len(layer) for layer in layers), default=0)
    places = {}
    for column, layer in enumerate(layers):
        # Short layers stand in the middle.
        top = _MARGIN + (tallest - len(layer)) * (BOX_HEIGHT + _GAP_Y) // 2
        for row, node in enumerate(layer):
            places[node] = (_MARGIN + column * (BOX_WIDTH + _GAP_X), top + row * (BOX_HEIGHT + _GAP_Y))
    width = 2 * _MARGIN + len(layers) * (BOX_WIDTH + _GAP_X) - _GAP_X
    return Layout(places, max(width, 0), 2 * _MARGIN + tallest * (BOX_HEIGHT + _GAP_Y) - _GAP_Y)


def _neighbours(nodes: int, edges: Sequence[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    readers: list[list[int]] = [[] for _ in range(nodes)]
    inputs: list[list[int]] = [[] for _ in range(nodes)]
    for start, end in edges:
        readers[start].append(end)
        inputs[end].append(start)
    return readers, inputs


def _layers(nodes: int, inputs: list[list[int]], readers: list[list[int]]) -> list[list[int]]:
    """Each node one layer after its last input."""
    depth = [0] * nodes
    missing = [len(found) for found in inputs]
    ready = [node for node in range(nodes) if not missing[node]]
    for node in ready:
        for reader in readers[node]:
            depth[reader] = max(depth[reader], depth[node] + 1)
            missing[reader] -= 1
            if not missing[reader]:
                ready.append(reader)
    layers: list[list[int]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for node in range(nodes):
        layers[depth[node]].append(node)
    return layers


def _ordered(layers: list[list[int]], inputs: list[list[int]], readers: list[list[int]]) -> list[list[int]]:
    """Move nodes towards the middle of their neighbours, forth and back."""
    for sweep in range(_SWEEPS):
        neighbours = inputs if sweep % 2 == 0 else readers
        rank = {node: place / max(len(layer), 1) for layer in layers for place, node in enumerate(layer)}
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = {node: _middle([rank[each] for each in neighbours[node]], rank[node]) for node in layer}
            layer.sort(key=wanted.__getitem__)
            rank |= {node: place / len(layer) for place, node in enumerate(layer)}
    return layers


def _middle(ranks: list[float], otherwise: float) -> float:
    return sum(ranks) / len(ranks) if ranks else otherwise
