"""Takes in a dataset directory that other ODF software made, byte for byte."""

import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kamu_assets.datasets.chains.stored import StoredChain, hashes_to, read_chain
from kamu_assets.datasets.errors import BeingAdoptedError, DamagedDatasetError
from kamu_assets.datasets.files import DatasetFiles, parse_alias, parse_hash
from kamu_assets.datasets.model import IndexedBlock, IndexedData
from kamu_assets.errors import InvalidError
from kamu_assets.odf.dataset import Seed
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import decode_block
from kamu_assets.storage.layout import dataset_folder, head_key
from kamu_assets.storage.object_store import ObjectStore
from kamu_assets.storage.volumes import Volumes

CHUNK = 1 << 20
_MAX_BLOCK = 64 << 20
# Of `refs/head` and `info/alias`, which hold one short word.
_MAX_TEXT = 4096
# Everything of a dataset's layout that is taken along; hidden files are leftovers of writers that died.
_PARTS = ("blocks", "data", "checkpoints", "info", "refs")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)

# Told the bytes done and the bytes in all.
OnProgress = Callable[[int, int], None]


class DatasetDirectory:
    """A dataset directory anywhere on this machine, read with suspicion."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        if not (self.path / "refs" / "head").is_file():
            raise DamagedDatasetError(str(path), "is not a dataset directory: it has no refs/head")

    def head(self) -> Multihash:
        """What `refs/head` says."""
        path = self.path / "refs" / "head"
        return parse_hash(_text(path), str(path))

    def alias(self) -> DatasetAlias | None:
        """What `info/alias` says, if it is there."""
        path = self.path / "info" / "alias"
        return parse_alias(_text(path), str(path)) if os.path.lexists(path) else None

    def seed(self) -> Seed:
        """The first event of the chain of `refs/head`."""
        first = hashes_to(self.head(), self._block)[0]
        event = decode_block(self._block(first)).event
        if not isinstance(event, Seed):
            raise DamagedDatasetError(f"block {first}", f"starts the chain with {event.kind} instead of a Seed")
        self._check_name(event)
        return event

    def _check_name(self, seed: Seed) -> None:
        """Where folders are named by ids, another id in the Seed is a swap; other layouts name them as they like."""
        try:
            named = DatasetID.from_multibase(self.path.name)
        except InvalidError:
            return
        if named != seed.dataset_id:
            raise DamagedDatasetError(str(self.path), f"is named by {named}, but its Seed says {seed.dataset_id}")

    def lies_in(self, volume: ObjectStore, dataset: DatasetID) -> bool:
        """Whether this very directory is where the volume keeps the dataset."""
        key = head_key(dataset)
        return volume.exists(key) and Path(volume.location(key)).resolve() == self.path / "refs" / "head"

    def copy_to(self, volume: ObjectStore, dataset: DatasetID) -> None:
        """Copy all but the head: until that is written, the copy is no dataset."""
        for source, name in self.files():
            with volume.writer(f"{dataset_folder(dataset)}/{name.rpartition('/')[0]}") as pending:
                with source.open("rb") as content:
                    while chunk := content.read(CHUNK):
                        pending.write(chunk)
                pending.commit(f"{dataset_folder(dataset)}/{name}")

    def files(self) -> list[tuple[Path, str]]:
        """All but the head, with their names in the layout. Links are refused: they lead to files of somebody else."""
        found = []
        for part in _PARTS:
            for source in sorted(_plain_folder(self.path / part).glob("*")):
                if not source.name.startswith("."):
                    _check_plain(source)
                if _NAME.fullmatch(source.name) and (part, source.name) != ("refs", "head"):
                    found.append((source, f"{part}/{source.name}"))
        return found

    def _block(self, name: Multihash) -> bytes:
        path = _plain_folder(self.path / "blocks") / str(name)
        if not os.path.lexists(path):
            raise DamagedDatasetError(f"block {name}", "is not there")
        _check_plain(path)
        if path.stat().st_size > _MAX_BLOCK:
            raise DamagedDatasetError(f"block {name}", f"has more than {_MAX_BLOCK} bytes")
        return path.read_bytes()


@contextmanager
def alone(volume: ObjectStore, dataset: DatasetID) -> Iterator[None]:
    """Be the only process of this machine that brings the dataset in: whoever fails removes its files."""
    with (volume.staging() / f"{dataset_folder(dataset)}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BeingAdoptedError(dataset) from error
        yield


def take_in(source: DatasetDirectory, seed: Seed, volumes: Volumes, *, on_progress: OnProgress | None) -> StoredChain:
    """Bring the files into their volume and check every block and object there.

    Without `on_progress` objects are only looked for: somebody else is going to hash them.

    A directory that lies in the volume already is used in place. DamagedDatasetError and DanglingObjectError name
    the block or object that is wrong; what was copied is removed again.
    """
    volume = volumes.for_kind(seed.dataset_kind)
    if source.lies_in(volume, seed.dataset_id):
        source.files()
        return check(volumes, seed, source.head(), on_progress=on_progress)
    if volume.exists(head_key(seed.dataset_id)):
        folder = dataset_folder(seed.dataset_id)
        raise DamagedDatasetError(str(source.path), f"the volume holds {folder} already: adopt that one")
    try:
        source.copy_to(volume, seed.dataset_id)
        return check(volumes, seed, source.head(), on_progress=on_progress)
    except BaseException:
        DatasetFiles(volume, seed.dataset_id).remove_all()
        raise


def check(volumes: Volumes, seed: Seed, head: Multihash, *, on_progress: OnProgress | None) -> StoredChain:
    """Read the whole chain in its volume and hash, or look for, every object it names."""
    files = DatasetFiles(volumes.for_kind(seed.dataset_kind), seed.dataset_id)
    blocks = volumes.blocks(seed.dataset_kind)
    chain = read_chain(head, lambda name: blocks.get(seed.dataset_id, name))
    if on_progress is None:
        for block in chain.blocks:
            files.check_objects(block)
    else:
        _hash_objects(files, chain, on_progress)
    return chain


def _hash_objects(files: DatasetFiles, chain: StoredChain, on_progress: OnProgress) -> None:
    total, done = sum(map(_named_bytes, chain.blocks)), 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        on_progress(done, total)

    for block in chain.blocks:
        files.check_contents(block, on_bytes=count)


def _named_bytes(block: IndexedBlock) -> int:
    data = block.data or IndexedData()
    return (data.data_slice.size if data.data_slice else 0) + (data.checkpoint.size if data.checkpoint else 0)


def _plain_folder(path: Path) -> Path:
    if path.is_symlink():
        raise DamagedDatasetError(str(path), "is a link, not a plain folder")
    return path


def _check_plain(path: Path) -> None:
    if path.is_symlink() or not path.is_file():
        raise DamagedDatasetError(str(path), "is not a plain file")


def _text(path: Path) -> str:
    _plain_folder(path.parent)
    _check_plain(path)
    try:
        if path.stat().st_size > _MAX_TEXT:
            raise DamagedDatasetError(str(path), f"has more than {_MAX_TEXT} bytes")
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedDatasetError(str(path), f"cannot be read: {error}") from error
