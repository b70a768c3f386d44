"""How the node does what was left undone, inside a Dagster run."""

import logging
from collections.abc import Callable

from kamu_assets.database.database import Database
from kamu_assets.datasets.lineage.store import Lineage
from kamu_assets.flows.messages import TriggerChanged
from kamu_assets.flows.scheduling.hearing import Hearing
from kamu_assets.odf.identity import DatasetID


class NodeKeeper:
    """Does what followers of the outbox do, for one dataset and now; all of it may have been done meanwhile."""

    def __init__(
        self,
        *,
        database: Database,
        hearing: Hearing,
        report: Callable[[DatasetID], bool],
        settle: Callable[[], object],
    ) -> None:
        self._database = database
        self._hearing = hearing
        self._report = report
        self._settle = settle
        self._lineage = Lineage()

    def catch_up(self, dataset: DatasetID, *, log: logging.Logger) -> None:
        """Tell Dagster of a dataset's commits, and have derivatives that react read them."""
        log.info("Dagster was told of new commits" if self._report(dataset) else "Dagster knew all commits")
        with self._database.transaction() as tx:
            for reader in self._lineage.dependents(tx, dataset):
                # Whoever begins to react looks at what there is: that is what is wanted here.
                self._hearing.handle(tx, TriggerChanged(dataset_id=reader))

    def reconcile(self, *, log: logging.Logger) -> None:
        """Compare running flows with their runs."""
        self._settle()
        log.info("flows were compared with their runs")
