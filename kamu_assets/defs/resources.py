"""What assets need of the node, so that the same definitions serve where it is and where it is not."""

import logging
from typing import Protocol

from dagster import InitResourceContext, ResourceDefinition, resource

from kamu_assets.errors import UnavailableError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.materialization import Materialization

UPDATER = "updater"


class Updater(Protocol):
    """Brings datasets up to date."""

    def update(self, dataset: DatasetID, *, run_id: str, log: logging.Logger) -> Materialization | None:
        """Poll or compute; None when nothing came of it, with the reason in the log."""
        ...


class NoNodeError(UnavailableError):
    """A code server lists the assets; only the node's workers can execute them."""

    def __init__(self) -> None:
        super().__init__("datasets are updated by the node's workers: this process only lists them")


@resource
def no_updater(_context: InitResourceContext) -> Updater:
    """Stands in for the node where assets are only listed."""
    raise NoNodeError


def updater_resource(updater: Updater) -> ResourceDefinition:
    """The node's own."""
    return ResourceDefinition.hardcoded_resource(updater)
