"""Lineage as a page: one file that any browser draws, without a network."""

from collections.abc import Iterator
from html import escape

from kamu_api.cli.datasets.lineage_layout import BOX_HEIGHT, BOX_WIDTH, Layout, lay_out
from kamu_api.cli.datasets.lineage_text import all_nodes, kind_of, name_of
from kamu_assets.datasets.lineage.graph import LineageGraph
from kamu_assets.odf.identity import DatasetID

_LETTERS = 24
_KIND_WORDS = {"Root": "root", "Derivative": "derivative", "unknown": "not on this node"}

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Lineage</title>
<style>
:root {{ color-scheme: light dark; --page: #fff; --text: #1c2430; --dim: #667; --line: #9aa7b8; --root: #dff1e4;
  --root-edge: #3c8d57; --derivative: #e1ecfb; --derivative-edge: #3b6fb6;
  --unknown: #f3e8e0; --unknown-edge: #b0784a; }}
@media (prefers-color-scheme: dark) {{ :root {{ --page: #14181f; --text: #e6eaf0; --dim: #9aa5b5; --line: #66738a;
  --root: #1d3a28; --derivative: #1c2f4a; --unknown: #40301f; }} }}
body {{ margin: 0; background: var(--page); color: var(--text); font: 13px system-ui, sans-serif; }}
p {{ margin: 12px 30px 0; color: var(--dim); }}
path {{ fill: none; stroke: var(--line); stroke-width: 1.5; }}
rect {{ stroke-width: 1.5; }}
.Root rect {{ fill: var(--root); stroke: var(--root-edge); }}
.Derivative rect {{ fill: var(--derivative); stroke: var(--derivative-edge); }}
.unknown rect {{ fill: var(--unknown); stroke: var(--unknown-edge); stroke-dasharray: 5 3; }}
text {{ fill: var(--text); font-weight: 600; }}
text.kind {{ fill: var(--dim); font-weight: 400; font-size: 11px; }}
.busy g, .busy path {{ opacity: .2; }}
.busy .near {{ opacity: 1; }}
.busy path.near {{ stroke: var(--derivative-edge); stroke-width: 2.5; }}
</style>
</head>
<body>
<p>{title}</p>
<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" aria-label="lineage">
<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"
><path d="M0 0 8 4 0 8z" style="fill: var(--line); stroke: none"/></marker></defs>
{edges}
{boxes}
</svg>
<script>
const svg = document.querySelector("svg"), paths = [...svg.querySelectorAll("path[data-from]")];
// What a dataset is computed from, and what is computed from it.
function reach(start, from, to) {{
  const found = new Set([start]);
  for (const each of found) for (const path of paths) if (path.dataset[from] === each) found.add(path.dataset[to]);
  return found;
}}
for (const box of svg.querySelectorAll("g")) {{
  box.addEventListener("mouseenter", () => {{
    const up = reach(box.dataset.node, "to", "from"), down = reach(box.dataset.node, "from", "to");
    const near = path => [up, down].some(set => set.has(path.dataset.from) && set.has(path.dataset.to));
    for (const each of svg.querySelectorAll("g"))
      each.classList.toggle("near", up.has(each.dataset.node) || down.has(each.dataset.node));
    for (const path of paths) path.classList.toggle("near", near(path));
    svg.classList.add("busy");
  }});
  box.addEventListener("mouseleave", () => svg.classList.remove("busy"));
}}
</script>
</body>
</html>
"""


def lineage_page(graph: LineageGraph) -> str:
    """The whole document."""
    nodes = all_nodes(graph)
    numbers = {dataset: number for number, dataset in enumerate(nodes)}
    edges = list(
        dict.fromkeys((numbers[read], numbers[each]) for each in graph.entries for read in graph.inputs.get(each, ()))
    )
    layout = lay_out(len(nodes), edges)
    boxes = (_box(graph, dataset, number, layout) for dataset, number in numbers.items())
    page = _PAGE.format(
        title=f"{len(nodes):,} dataset(s); data goes from left to right",
        width=layout.width,
        height=layout.height,
        edges="\n".join(_curves(edges, layout)),
        boxes="\n".join(boxes),
    )
    # Whatever the terminal and the server make of it.
    return page.encode("ascii", "xmlcharrefreplace").decode()


def _box(graph: LineageGraph, dataset: DatasetID, number: int, layout: Layout) -> str:
    name, kind = name_of(graph, dataset), kind_of(graph, dataset)
    x, y = layout.places[number]
    shown = name if len(name) <= _LETTERS else name[: _LETTERS - 1] + "…"
    middle = x + BOX_WIDTH // 2
    return (
        f'<g class="{kind}" data-node="{number}"><title>{escape(name)}\n{escape(str(dataset))}</title>'
        f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="7"/>'
        f'<text x="{middle}" y="{y + 20}" text-anchor="middle">{escape(shown)}</text>'
        f'<text class="kind" x="{middle}" y="{y + 36}" text-anchor="middle">{_KIND_WORDS[kind]}</text></g>'
    )


def _curves(edges: list[tuple[int, int]], layout: Layout) -> Iterator[str]:
    for start, end in edges:
        (left, top), (to_x, to_y) = layout.places[start], layout.places[end]
        x, y = left + BOX_WIDTH, top + BOX_HEIGHT // 2
        way = f"M{x} {y}"
        for left, middle in layout.lanes[start, end]:
            way += f"{_bend(x, y, left, middle)}H{left + BOX_WIDTH}"
            x, y = left + BOX_WIDTH, middle
        way += _bend(x, y, to_x - 2, to_y + BOX_HEIGHT // 2)
        yield f'<path data-from="{start}" data-to="{end}" marker-end="url(#tip)" d="{way}"/>'


def _bend(x: int, y: int, to_x: int, to_y: int) -> str:
    middle = (x + to_x) // 2
    return f"C{middle} {y} {middle} {to_y} {to_x} {to_y}"
