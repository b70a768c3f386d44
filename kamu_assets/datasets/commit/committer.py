"""The commit protocol: objects first, then everything SQL knows in one transaction, the reference file last.

Slices, checkpoints and blocks are named by their content and durable before the head names them, so that writing
them twice is harmless and nobody ever follows a head into nothing. Whoever loses the race for a head leaves
unreachable files behind and nothing else. `refs/head` follows SQL and is repaired from it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum

import structlog

from kamu_assets.database.database import Database
from kamu_assets.database.outbox import Outbox
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.commit.bookkeeping import Bookkeeping, Change
from kamu_assets.datasets.commit.head_files import HeadFiles
from kamu_assets.datasets.commit.sealing import seal, seal_received
from kamu_assets.datasets.errors import HeadMovedError
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.model import CommitResult, DatasetEntry, NewObject, Pushed
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.errors import KamuError
from kamu_assets.monitoring import metrics
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import MetadataEvent, Seed
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.layout import writers_lock
from kamu_assets.storage.locks import shared
from kamu_assets.storage.volumes import Volumes

log = structlog.get_logger(__name__)


class CommitStep(StrEnum):
    """Moments at which a commit may be interrupted."""

    SEALED = "sealed"
    FILE_STORED = "file_stored"
    BLOCK_STORED = "block_stored"
    HEAD_MOVED = "head_moved"
    ROWS_WRITTEN = "rows_written"
    COMMITTED = "committed"
    HEAD_PUBLISHED = "head_published"


def _pass_by(_: CommitStep) -> None:
    """Do nothing at any step."""


class Committer:
    """Appends to chains and starts new ones."""

    def __init__(
        self,
        *,
        database: Database,
        volumes: Volumes,
        chains: Chains,
        outbox: Outbox,
        on_step: Callable[[CommitStep], None] = _pass_by,
    ) -> None:
        self._database = database
        self._volumes = volumes
        self._chains = chains
        self._books = Bookkeeping(outbox)
        self._head_files = HeadFiles(database=database, volumes=volumes)
        self._entries = DatasetStore()
        self._on_step = on_step

    def commit(
        self,
        dataset: DatasetID,
        *,
        expected_head: Multihash | None,
        events: Sequence[MetadataEvent],
        system_time: Timestamp,
        files: Sequence[NewObject] = (),
        run_id: str | None = None,
        push: Pushed | None = None,
    ) -> CommitResult:
        """Append events that were decided upon `expected_head` (`None`: upon whatever the head is now).

        HeadMovedError when another commit was first; ChainRuleError when a rule forbids an event. `files` are
        taken over, also when the commit fails later.
        """
        with metrics.COMMIT.measured():
            entry, chain = self._pinned(dataset, expected_head)
            sealed = seal(chain, events, system_time=system_time)
            return self._apply(Change(entry, sealed, run_id, push=push), files)

    def commit_received(
        self,
        dataset: DatasetID,
        *,
        expected_head: Multihash | None,
        raw_blocks: Sequence[bytes],
        files: Sequence[NewObject] = (),
        run_id: str | None = None,
    ) -> CommitResult:
        """Append blocks made elsewhere, as the bytes they came in."""
        with metrics.COMMIT.measured():
            entry, chain = self._pinned(dataset, expected_head)
            return self._apply(Change(entry, seal_received(chain, raw_blocks), run_id, foreign=True), files)

    def create(self, entry: DatasetEntry, events: Sequence[MetadataEvent], *, system_time: Timestamp) -> CommitResult:
        """Start a dataset: a Seed, then the events. NameCollisionError, RefCollisionError; all or nothing."""
        seed = Seed(dataset_id=entry.id, dataset_kind=entry.kind)
        sealed = seal(ChainState.empty(), [seed, *events], system_time=system_time)
        files = DatasetFiles.of(self._volumes, entry)
        with self._database.reading() as tx:
            self._entries.check_free(tx, entry)
        try:
            files.write_alias(entry.alias)
            return self._apply(Change(entry, sealed), ())
        except KamuError:
            self._clear_away(entry, files)
            raise

    @contextmanager
    def writing(self, entry: DatasetEntry) -> Iterator[None]:
        """Until the block ends nobody takes for garbage what is stored and no head leads to yet."""
        with shared(writers_lock(self._volumes.for_kind(entry.kind), entry.id)):
            yield

    def store(self, change: Change, files: Sequence[NewObject]) -> None:
        """Make everything durable that a new head will lead to."""
        self._store_files(change, files)
        self._store_blocks(change)

    def publish(self, change: Change) -> None:
        """Let `refs/head` follow a head that has moved."""
        self._publish_head(change)

    def tell(self, step: CommitStep) -> None:
        """Say how far a change has come."""
        self._on_step(step)

    def _pinned(self, dataset: DatasetID, expected: Multihash | None) -> tuple[DatasetEntry, ChainState]:
        with self._database.reading() as tx:
            entry = self._entries.get(tx, dataset)
            chain = self._chains.state(dataset, tx=tx)
        if expected is not None and chain.head != expected:
            raise HeadMovedError(dataset, expected, chain.head)
        return entry, chain

    def _apply(self, change: Change, files: Sequence[NewObject]) -> CommitResult:
        sealed = change.sealed
        if not sealed.blocks:
            raise ValueError("a commit needs an event")
        self._on_step(CommitStep.SEALED)
        self._carry_out(change, files)
        self._chains.remember(change.entry.id, sealed.after)
        return CommitResult(sealed.before.head, sealed.blocks[-1].name, len(sealed.blocks), sealed.records)

    def _carry_out(self, change: Change, files: Sequence[NewObject]) -> None:
        """The order that makes a commit safe to interrupt anywhere."""
        with self.writing(change.entry):
            self.store(change, files)
            self._move_head(change)
        self._publish_head(change)

    def _store_files(self, change: Change, new: Sequence[NewObject]) -> None:
        files = DatasetFiles.of(self._volumes, change.entry)
        for item in new:
            files.take_over(item)
            self._on_step(CommitStep.FILE_STORED)
        for sealed in change.sealed.blocks:
            files.check_objects(sealed.indexed)

    def _store_blocks(self, change: Change) -> None:
        blocks = self._volumes.blocks(change.entry.kind)
        for sealed in change.sealed.blocks:
            blocks.put(change.entry.id, sealed.raw)
            self._on_step(CommitStep.BLOCK_STORED)

    def _move_head(self, change: Change) -> None:
        with self._database.transaction() as tx:
            self._books.move_head(tx, change)
            self._on_step(CommitStep.HEAD_MOVED)
            self._books.write_rows(tx, change)
            self._on_step(CommitStep.ROWS_WRITTEN)
        self._on_step(CommitStep.COMMITTED)

    def _publish_head(self, change: Change) -> None:
        try:
            self._head_files.publish(change.entry, change.sealed.after.head)
        except Exception:
            # The commit has happened, so it must not be reported as failed; the file is repaired at the next start.
            log.exception("head_not_published", dataset=str(change.entry.id))
        self._on_step(CommitStep.HEAD_PUBLISHED)

    def _clear_away(self, entry: DatasetEntry, files: DatasetFiles) -> None:
        """Remove what a failed creation wrote, once it is certain that it failed."""
        with suppress(KamuError):
            with self._database.reading() as tx:
                if self._entries.find(tx, entry.id) is not None:
                    return
            files.remove_all()
