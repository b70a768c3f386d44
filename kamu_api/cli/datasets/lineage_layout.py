"""Where the boxes of a lineage picture go: layers from left to right, few crossings, no arrow behind a box."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

BOX_WIDTH = 220
BOX_HEIGHT = 46
# An arrow passes a layer in a lane of its own.
_LANE_HEIGHT = 6
_GAP_X = 90
_GAP_Y = 22
_MARGIN = 30
_SWEEPS = 6

Edge = tuple[int, int]
Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Layout:
    """Left upper corners of the boxes, left ends of the lanes of long edges, and how much room all take."""

    places: Mapping[int, Point]
    lanes: Mapping[Edge, Sequence[Point]]
    width: int
    height: int


def lay_out(nodes: int, edges: Sequence[Edge]) -> Layout:
    """Place nodes 0, 1, …; edges go from input to reader, and no way leads back."""
    depths = _depths(nodes, edges)
    lanes: dict[Edge, list[int]] = {}
    for start, end in edges:
        passed = range(depths[start] + 1, depths[end])
        lanes[start, end] = [len(depths) + step for step in range(len(passed))]
        depths += passed
    short = [each for edge, lane in lanes.items() for each in pairwise((edge[0], *lane, edge[1]))]
    layers = _ordered(depths, short)
    heights = [BOX_HEIGHT] * nodes + [_LANE_HEIGHT] * (len(depths) - nodes)
    tops, height = _tops(layers, heights)
    corners = [(_MARGIN + depth * (BOX_WIDTH + _GAP_X), tops[node]) for node, depth in enumerate(depths)]
    ends = {edge: [(corners[each][0], corners[each][1] + _LANE_HEIGHT // 2) for each in lanes[edge]] for edge in lanes}
    width = 2 * _MARGIN + len(layers) * (BOX_WIDTH + _GAP_X) - _GAP_X if layers else 0
    return Layout(dict(enumerate(corners[:nodes])), ends, width, height)


def _neighbours(nodes: int, edges: Sequence[Edge]) -> tuple[list[list[int]], list[list[int]]]:
    """The inputs and the readers of each node."""
    inputs: list[list[int]] = [[] for _ in range(nodes)]
    readers: list[list[int]] = [[] for _ in range(nodes)]
    for start, end in edges:
        readers[start].append(end)
        inputs[end].append(start)
    return inputs, readers


def _depths(nodes: int, edges: Sequence[Edge]) -> list[int]:
    """Each node one layer after its last input."""
    inputs, readers = _neighbours(nodes, edges)
    depths = [0] * nodes
    missing = [len(found) for found in inputs]
    ready = [node for node in range(nodes) if not missing[node]]
    for node in ready:
        for reader in readers[node]:
            depths[reader] = max(depths[reader], depths[node] + 1)
            missing[reader] -= 1
            if not missing[reader]:
                ready.append(reader)
    return depths


def _ordered(depths: Sequence[int], edges: Sequence[Edge]) -> list[list[int]]:
    """The layers; nodes are moved towards the middle of their neighbours, forth and back."""
    inputs, readers = _neighbours(len(depths), edges)
    layers: list[list[int]] = [[] for _ in range(max(depths, default=-1) + 1)]
    for node, depth in enumerate(depths):
        layers[depth].append(node)
    for sweep in range(_SWEEPS):
        neighbours = inputs if sweep % 2 == 0 else readers
        rank = {node: place / len(layer) for layer in layers for place, node in enumerate(layer)}
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            wanted = {node: _middle([rank[each] for each in neighbours[node]], rank[node]) for node in layer}
            layer.sort(key=wanted.__getitem__)
            rank |= {node: place / len(layer) for place, node in enumerate(layer)}
    return layers


def _middle(ranks: list[float], otherwise: float) -> float:
    return sum(ranks) / len(ranks) if ranks else otherwise


def _tops(layers: Sequence[Sequence[int]], heights: Sequence[int]) -> tuple[dict[int, int], int]:
    """Upper edges, and the height of the picture; short layers stand in the middle."""
    sums = [sum(heights[node] + _GAP_Y for node in layer) - _GAP_Y for layer in layers]
    tops = {}
    for layer, room in zip(layers, sums, strict=True):
        top = _MARGIN + (max(sums) - room) // 2
        for node in layer:
            tops[node] = top
            top += heights[node] + _GAP_Y
    return tops, 2 * _MARGIN + max(sums, default=0)
