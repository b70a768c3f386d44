"""Modules do not import each other in circles, wherever in a file they do it."""

from graphlib import TopologicalSorter

import grimp


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = grimp.build_graph("kamu_assets", "kamu_gateway", "kamu_api", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}

    # Raises where there is a circle, and names it.
    order = list(TopologicalSorter(imports).static_order())

    assert len(order) == len(graph.modules) > 300
