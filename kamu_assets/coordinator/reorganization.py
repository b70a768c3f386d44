"""What is done to whole chains: resets."""

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.coordinator.resetting import ResetOptions, Resets
from kamu_assets.coordinator.results import ReorganizationResult
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.chains import Chains
from kamu_assets.datasets.commit import Committer
from kamu_assets.datasets.past import PastStates
from kamu_assets.datasets.rewriting import Rewriting
from kamu_assets.datasets.service import Datasets
from kamu_assets.odf.identity import DatasetRef
from kamu_assets.odf.multihash import Multihash
from kamu_assets.storage.volumes import Volumes


class Reorganization:
    """What may be done to the chains of datasets by those who maintain them."""

    def __init__(
        self,
        *,
        datasets: Datasets,
        database: Database,
        chains: Chains,
        committer: Committer,
        outbox: Outbox,
        volumes: Volumes,
        clock: Clock,
    ) -> None:
        rewriting = Rewriting(database=database, chains=chains, committer=committer, outbox=outbox)
        self._resets = Resets(
            datasets=datasets,
            chains=chains,
            past=PastStates(database=database, volumes=volumes, cached_states=1),
            rewriting=rewriting,
            clock=clock,
        )

    def reset(self, caller: Caller, dataset: DatasetRef, options: ResetOptions | None = None) -> ReorganizationResult:
        """Let the head go back to an earlier block, or to the Seed."""
        return self._resets.reset(caller, dataset, options or ResetOptions())

    def check_reset(self, caller: Caller, dataset: DatasetRef, new_head: Multihash | None) -> None:
        """Raise what is plainly wrong with a reset before it is planned: NewHeadNotFoundError, AlreadyHeadError."""
        self._resets.check(caller, dataset, new_head)
