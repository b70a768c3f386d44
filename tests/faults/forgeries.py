"""Forges chains, well hashed from the forged block on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.dataset import AddData, MetadataBlock, Seed
from kamu_assets.odf.identity import DatasetAlias, DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import decode_block, encode_block
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import a_dataset_id, a_hash
from tests.support.heart import an_entry, open_heart

DATASET = an_entry().id
TAKEN = DatasetAlias.parse("kamu/taken")
HUGE = (1 << 63) - 1
Blocks = list[MetadataBlock]


def changed(place: int, **fields: object) -> Callable[[Blocks], Blocks]:
    """One block with other fields."""

    def forge(blocks: Blocks) -> Blocks:
        blocks[place] = blocks[place].model_copy(update=fields)
        return blocks

    return forge


def slice_changed(**fields: object) -> Callable[[Blocks], Blocks]:
    """The last slice with other claims."""

    def forge(blocks: Blocks) -> Blocks:
        event = blocks[-1].event
        assert isinstance(event, AddData)
        assert event.new_data is not None
        data = event.new_data.model_copy(update=fields)
        return changed(-1, event=event.model_copy(update={"new_data": data}))(blocks)

    return forge


def event_changed(**fields: object) -> Callable[[Blocks], Blocks]:
    return lambda blocks: changed(-1, event=blocks[-1].event.model_copy(update=fields))(blocks)


def without(place: int) -> Callable[[Blocks], Blocks]:
    return lambda blocks: blocks[:place] + blocks[place + 1 :]


def twice(blocks: Blocks) -> Blocks:
    return [*blocks, blocks[-1]]


FORGERIES = {
    "the seed of another dataset": changed(0, event=Seed(dataset_id=a_dataset_id("b"), dataset_kind=DatasetKind.ROOT)),
    "a second seed": changed(1, event=Seed(dataset_id=DATASET, dataset_kind=DatasetKind.ROOT)),
    "no seed": without(0),
    "a hole": without(2),
    "a block twice": twice,
    "a sequence number again": changed(3, sequence_number=2),
    "a sequence number of 32 bits": changed(3, sequence_number=1 << 31),
    "a huge sequence number": changed(3, sequence_number=HUGE),
    "a time before the last": changed(3, system_time=Timestamp.parse("1999-01-01T00:00:00Z")),
    "offsets that overlap": slice_changed(offset_interval=OffsetInterval(start=5, end=14)),
    "offsets that leave a gap": slice_changed(offset_interval=OffsetInterval(start=30, end=39)),
    "an interval that ends before it starts": slice_changed(offset_interval=OffsetInterval(start=20, end=3)),
    "a slice that is not there": slice_changed(physical_hash=a_hash("nowhere")),
    "another size": slice_changed(size=7),
    "a huge size": slice_changed(size=HUGE),
    "a checkpoint out of nowhere": event_changed(prev_checkpoint=a_hash("nowhere")),
    "another previous offset": event_changed(prev_offset=3),
    "a watermark that goes back": event_changed(new_watermark=Timestamp.parse("1999-01-01T00:00:00Z")),
    "nothing new": event_changed(new_data=None),
}


def a_home(folder: Path) -> Path:
    """A dataset of five blocks, to be copied and forged."""
    heart = open_heart(folder)
    heart.dataset()
    for _ in range(3):
        heart.add_data(DATASET)
    heart.database.close()
    return folder / "datasets" / DATASET.as_multibase


def blocks_of(home: Path) -> Blocks:
    """The chain of a directory, oldest first."""
    found: Blocks = []
    name: Multihash | None = Multihash.parse((home / "refs" / "head").read_text())
    while name is not None:
        found.append(decode_block((home / "blocks" / str(name)).read_bytes()))
        name = found[-1].prev_block_hash
    return found[::-1]


def sealed(blocks: Sequence[MetadataBlock]) -> list[bytes]:
    """The bytes of a chain whose links are right, whatever its blocks say."""
    raw: list[bytes] = []
    for block in blocks:
        previous = Multihash.sha3_256(raw[-1]) if raw else None
        raw.append(encode_block(block.model_copy(update={"prev_block_hash": previous})))
    return raw


def write(home: Path, raw_blocks: Sequence[bytes]) -> None:
    for raw in raw_blocks:
        (home / "blocks" / str(Multihash.sha3_256(raw))).write_bytes(raw)
    (home / "refs" / "head").write_text(str(Multihash.sha3_256(raw_blocks[-1])))
