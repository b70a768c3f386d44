"""What is done to whole chains: reset, compacted, emptied."""

from kamu_assets.auth.model import Caller
from kamu_assets.clock import Clock
from kamu_assets.coordinator.chain_making import ChainMaking
from kamu_assets.coordinator.compacting import Compactions, CompactOptions
from kamu_assets.coordinator.metadata_only import MetadataOnly
from kamu_assets.coordinator.resetting import ResetOptions, Resets
from kamu_assets.coordinator.results import ReorganizationResult
from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.chains.past import PastStates
from kamu_assets.datasets.commit.committer import Committer
from kamu_assets.datasets.commit.rewriting import Rewriting
from kamu_assets.datasets.service import Datasets
from kamu_assets.engines.slices.facts import Encodings
from kamu_assets.engines.workers.job_runner import JobRunner
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
        pool: JobRunner,
        clock: Clock,
        encodings: Encodings = Encodings.KAMU,
    ) -> None:
        rewriting = Rewriting(database=database, chains=chains, committer=committer, outbox=outbox)
        making = ChainMaking(database, chains, rewriting, clock)
        past = PastStates(database=database, volumes=volumes, cached_states=1)
        self._resets = Resets(datasets, chains, past, rewriting, clock)
        self._compactions = Compactions(datasets, database, chains, making, volumes, pool, encodings)
        self._metadata_only = MetadataOnly(datasets, chains, making)

    def compact(
        self, caller: Caller, dataset: DatasetRef, options: CompactOptions | None = None
    ) -> ReorganizationResult:
        """Put small slices of a root together; its rows stay what they are."""
        return self._compactions.compact(caller, dataset, options or CompactOptions())

    def reset(self, caller: Caller, dataset: DatasetRef, options: ResetOptions | None = None) -> ReorganizationResult:
        """Let the head go back to an earlier block, or to the Seed."""
        return self._resets.reset(caller, dataset, options or ResetOptions())

    def check_reset(self, caller: Caller, dataset: DatasetRef, new_head: Multihash | None) -> None:
        """Raise what is plainly wrong with a reset before it is planned: NewHeadNotFoundError, AlreadyHeadError."""
        self._resets.check(caller, dataset, new_head)

    def reset_to_metadata(
        self, caller: Caller, dataset: DatasetRef, *, run_id: str | None = None
    ) -> ReorganizationResult:
        """Drop all rows and keep every other event."""
        return self._metadata_only.reset(caller, dataset, run_id=run_id)
