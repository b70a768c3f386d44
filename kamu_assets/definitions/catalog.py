"""The `catalog` location: one asset per dataset, reloaded in process when the publisher stores another state.

Reloading works for trees of components that Dagster loads itself, not for a component that is built directly.
"""

import warnings
from pathlib import Path

from dagster import BetaWarning, Definitions, PreviewWarning, definitions
from dagster.components.core.component_tree import ComponentTree

import kamu_assets
from kamu_assets.defs import instances

# Dagster warns of parts of its own that its loader uses.
for category in (BetaWarning, PreviewWarning):
    warnings.filterwarnings("ignore", category=category, module="dagster")


@definitions
def defs() -> Definitions:
    return ComponentTree.from_module(
        defs_module=instances, project_root=Path(kamu_assets.__file__).parents[1]
    ).build_defs()
