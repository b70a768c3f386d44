"""Moves the head of a dataset where a recording had it: what resets and compactions leave behind."""

import shutil
from pathlib import Path

from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.chains.stored import read_chain
from kamu_assets.datasets.commit.bookkeeping import Bookkeeping
from kamu_assets.odf.identity import DatasetRef
from kamu_assets.odf.multihash import Multihash
from tests.support.heart import ADMIN, Heart


def take_files(heart: Heart, dataset: DatasetRef, recorded: Path) -> None:
    """Copy blocks, slices and checkpoints of a recorded dataset that are not here yet."""
    folder = Path(heart.datasets.storage_location(heart.datasets.resolve(ADMIN, dataset)))
    for part in ("blocks", "data", "checkpoints"):
        for found in recorded.glob(f"{part}/*"):
            if not (folder / part / found.name).exists():
                (folder / part).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(found, folder / part / found.name)


def move_head(heart: Heart, dataset: DatasetRef, to: Multihash) -> None:
    """Let the head be a block that is here."""
    entry = heart.datasets.resolve(ADMIN, dataset)
    blocks = heart.volumes.blocks(entry.kind)
    chain = read_chain(to, lambda name: blocks.get(entry.id, name))
    with heart.database.transaction() as tx:
        References().set_head(tx, entry.id, to)
        Bookkeeping(heart.outbox).replace_rows(tx, entry.id, chain.blocks, chain.state)
