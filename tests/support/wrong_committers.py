"""Committers that do things in an order in which a death does harm: what looks for harm has to find it."""

from collections.abc import Sequence

from kamu_assets.datasets.commit.bookkeeping import Change
from kamu_assets.datasets.commit.committer import CommitStep, Committer
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.model import NewObject


class HeadFirst(Committer):
    """Moves the head before the objects are there."""

    def _carry_out(self, change: Change, files: Sequence[NewObject]) -> None:
        self._move_head(change)
        self._store_files(change, files)
        self._store_blocks(change)
        self._publish_head(change)


class BlocksAfterHead(Committer):
    """Moves the head between the slice and the block."""

    def _carry_out(self, change: Change, files: Sequence[NewObject]) -> None:
        self._store_files(change, files)
        self._move_head(change)
        self._store_blocks(change)
        self._publish_head(change)


class ReferenceFileFirst(Committer):
    """Shows the head in the store before SQL knows it."""

    def _carry_out(self, change: Change, files: Sequence[NewObject]) -> None:
        self._store_files(change, files)
        self._store_blocks(change)
        DatasetFiles.of(self._volumes, change.entry).write_head(change.sealed.blocks[-1].name)
        self._on_step(CommitStep.HEAD_PUBLISHED)
        self._move_head(change)
