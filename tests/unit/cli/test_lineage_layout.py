"""The picture of a lineage: nothing overlaps, arrows go to the right and pass beside the boxes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kamu_api.cli.datasets.lineage_layout import BOX_HEIGHT, BOX_WIDTH, Layout, lay_out


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    nodes = draw(st.integers(0, 12))
    pairs = [(start, end) for end in range(nodes) for start in range(end)]
    return nodes, draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []


@given(graphs())
def test_boxes_have_room_and_arrows_pass_beside_them(graph: tuple[int, list[tuple[int, int]]]) -> None:
    nodes, edges = graph

    layout = lay_out(nodes, edges)

    corners = list(layout.places.values())
    assert len(corners) == nodes
    for number, (x, y) in enumerate(corners):
        assert 0 <= x <= layout.width - BOX_WIDTH
        assert 0 <= y <= layout.height - BOX_HEIGHT
        assert all(x != other or abs(y - below) >= BOX_HEIGHT for other, below in corners[:number])
    for edge in edges:
        _passes_beside_boxes(layout, edge)


def _passes_beside_boxes(layout: Layout, edge: tuple[int, int]) -> None:
    start, end = (layout.places[each] for each in edge)
    lanes = layout.lanes[edge]
    assert [x for x, _ in (start, *lanes, end)] == sorted({x for x, _ in (start, *lanes, end)})
    for x, y in layout.places.values():
        assert not any(x == left and y <= middle <= y + BOX_HEIGHT for left, middle in lanes)
    columns = {x for x, _ in layout.places.values() if start[0] < x < end[0]}
    assert columns == {left for left, _ in lanes}


def test_an_arrow_over_layers_has_a_lane_in_each() -> None:
    layout = lay_out(4, [(0, 1), (1, 2), (2, 3), (0, 3)])

    assert [len(layout.lanes[edge]) for edge in ((0, 1), (0, 3))] == [0, 2]
