"""The `catalog` location: one asset per dataset, reloaded in process when the publisher stores another state.

Reloading works for trees of components that Dagster loads itself, not for a component that is built directly.
"""

from pathlib import Path

from dagster import Definitions, definitions
from dagster.components.core.component_tree import ComponentTree

import kamu_assets
from kamu_assets.definitions.quiet import without_previews
from kamu_assets.defs import instances

without_previews()


@definitions
def defs() -> Definitions:
    return ComponentTree.from_module(
        defs_module=instances, project_root=Path(kamu_assets.__file__).parents[1]
    ).build_defs()
