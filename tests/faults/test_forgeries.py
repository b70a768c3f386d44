"""Chains that somebody forged, well hashed from the forged block on: refused by name, nothing of them is kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from kamu_assets.coordinator.adoption import AdoptOptions
from kamu_assets.coordinator.service import Coordinator
from kamu_assets.coordinator.verify.model import VerifyOptions, VerifyProgress, VerifyScope
from kamu_assets.datasets.errors import DamagedDatasetError
from kamu_assets.engines.worker_limits import WorkerLimits
from kamu_assets.engines.workers import WorkerPool
from kamu_assets.errors import KamuError
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.dataset import AddData, MetadataBlock, Seed
from kamu_assets.odf.identity import DatasetAlias, DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import decode_block, encode_block
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.layout import dataset_folder
from tests.support.builders import a_dataset_id, a_hash, a_logical_hash
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, an_entry, open_heart
from tests.support.verifier.dataset import verify
from tests.support.verifier.faults import FaultError

DATASET = an_entry().id
READERS = ("kamu_assets.coordinator.verify.slice_reading",)
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


CLAIMS = {
    "another content": (slice_changed(logical_hash=a_logical_hash("other rows")), "DataLogicalHashMismatch"),
    "more rows": (slice_changed(offset_interval=OffsetInterval(start=20, end=30)), "DataOffsetsMismatch"),
    "fewer rows": (slice_changed(offset_interval=OffsetInterval(start=20, end=28)), "DataOffsetsMismatch"),
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A dataset of five blocks, to be copied and forged."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    heart = open_heart(folder)
    heart.dataset()
    for _ in range(3):
        heart.add_data(DATASET)
    heart.database.close()
    return folder / "datasets" / DATASET.as_multibase


@pytest.fixture
def heart(tmp_path: Path) -> Heart:
    return open_heart(tmp_path)


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    limits = WorkerLimits(memory_bytes=512 << 20, time_seconds=120)
    found = WorkerPool(name="engine", size=1, limits=limits, preload=READERS)
    yield found
    found.close()


@pytest.fixture
def coordinator(heart: Heart, tmp_path: Path, pool: WorkerPool) -> Coordinator:
    return a_coordinator(heart, base=tmp_path, verify_pool=pool)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_directory_is_not_adopted(heart: Heart, home: Path, forgery: str) -> None:
    forged = sealed(FORGERIES[forgery](blocks_of(home)))
    write(home, forged)
    other = heart.dataset("other")
    objects, heads = list(heart.volumes.root.list()), heart.chains.head(other.id)

    with pytest.raises(KamuError) as refused:
        heart.datasets.adopt(ADMIN, home, TAKEN)

    assert len(str(refused.value)) > len("refused")
    assert list(heart.volumes.root.list()) == objects
    assert [entry.id for entry in heart.datasets.list(ADMIN)] == [other.id]
    assert heart.chains.head(other.id) == heads


@pytest.mark.parametrize("forgery", sorted(FORGERIES.keys() - {"the seed of another dataset"}))
def test_forged_blocks_are_not_received(heart: Heart, home: Path, forgery: str) -> None:
    genuine = sealed(blocks_of(home))
    forged = sealed(FORGERIES[forgery](blocks_of(home)))
    heart.committer.create(an_entry(), [blocks_of(home)[1].event], system_time=blocks_of(home)[0].system_time)
    head = heart.chains.head(DATASET)
    assert head == Multihash.sha3_256(genuine[1])

    with pytest.raises(KamuError):
        heart.committer.commit_received(DATASET, expected_head=head, raw_blocks=forged[2 if len(forged) > 4 else 1 :])

    assert heart.chains.head(DATASET) == head
    assert [found.kind for found in heart.doctor.repair() if not found.repaired and found.kind != "unreachable"] == []


def test_a_block_upon_another_chain_is_not_received(heart: Heart, home: Path) -> None:
    heart.dataset()
    head = heart.chains.head(DATASET)
    stray = encode_block(blocks_of(home)[2].model_copy(update={"prev_block_hash": a_hash("elsewhere")}))

    with pytest.raises(KamuError, match=r"the block follows .* but the head of the chain is"):
        heart.committer.commit_received(DATASET, expected_head=head, raw_blocks=[stray])

    assert heart.chains.head(DATASET) == head


@pytest.mark.parametrize("raw", [b"", b"\x00" * 64, b"\xff" * 4096, bytes(range(256)) * 64])
def test_bytes_that_are_no_block_are_not_received(heart: Heart, raw: bytes) -> None:
    heart.dataset()
    head = heart.chains.head(DATASET)

    with pytest.raises(KamuError):
        heart.committer.commit_received(DATASET, expected_head=None, raw_blocks=[raw])

    assert heart.chains.head(DATASET) == head


@pytest.mark.parametrize(
    "claim", [{"logical_hash": a_logical_hash("other rows")}, {"offset_interval": OffsetInterval(start=20, end=30)}]
)
def test_what_a_slice_claims_of_its_rows_is_compared_with_them(home: Path, claim: dict[str, object]) -> None:
    """By the referee, which shares no code with our own verification."""
    write(home, sealed(slice_changed(**claim)(blocks_of(home))))

    with pytest.raises(FaultError):
        verify(home)


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_directory_whose_rows_are_others_is_not_adopted(
    heart: Heart, coordinator: Coordinator, home: Path, claim: str
) -> None:
    """By a worker, who reads them; blocks, names of files and sizes are all as they must be."""
    forge, verdict = CLAIMS[claim]
    write(home, sealed(forge(blocks_of(home))))
    head = (home / "refs" / "head").read_text()
    told: list[VerifyProgress] = []

    with pytest.raises(DamagedDatasetError, match=verdict) as refused:
        coordinator.adopt(ADMIN, home, AdoptOptions(TAKEN, on_rows=told.append))

    assert refused.value.where.endswith(f"of block 4 ({head})")
    assert told[-1].blocks_done == told[-1].blocks_total == 5
    assert list(heart.volumes.root.list()) == []
    assert heart.datasets.list(ADMIN) == []
    assert coordinator.adopt(ADMIN, home, AdoptOptions(TAKEN, reads_rows=False)).alias == TAKEN


def test_rows_that_are_numbered_wrong_are_not_adopted(coordinator: Coordinator, heart: Heart, home: Path) -> None:
    """The slice is another one, and all hashes are its own."""
    other = heart.a_slice(start=120)
    (home / "data" / str(other.physical_hash)).write_bytes(other.path.read_bytes())
    forge = slice_changed(physical_hash=other.physical_hash, logical_hash=other.logical_hash, size=other.size)
    write(home, sealed(forge(blocks_of(home))))

    with pytest.raises(DamagedDatasetError, match=r"rows at 20 have offsets 120 to 129; the block says 20 to 29"):
        coordinator.adopt(ADMIN, home, AdoptOptions(TAKEN))


def test_a_derivative_that_was_added_to_is_not_adopted(coordinator: Coordinator, heart: Heart, home: Path) -> None:
    seed = Seed(dataset_id=DATASET, dataset_kind=DatasetKind.DERIVATIVE)
    write(home, sealed(changed(0, event=seed)(blocks_of(home))))

    with pytest.raises(DamagedDatasetError, match=r"^block 2 .*AddData has no place in the chain of a derivative"):
        coordinator.adopt(ADMIN, home, AdoptOptions(TAKEN))
    assert heart.datasets.list(ADMIN) == []


def test_what_is_wrong_with_a_directory_in_the_volume_is_not_removed(
    coordinator: Coordinator, heart: Heart, home: Path
) -> None:
    """Somebody put it there, and may want to mend it."""
    genuine = (home / "refs" / "head").read_text()
    write(home, sealed(slice_changed(logical_hash=a_logical_hash("other rows"))(blocks_of(home))))
    place = Path(shutil.copytree(home, heart.volumes.root.location(dataset_folder(DATASET))))

    with pytest.raises(DamagedDatasetError, match="DataLogicalHashMismatch"):
        coordinator.adopt(ADMIN, place, AdoptOptions(TAKEN))

    assert heart.datasets.list(ADMIN) == []
    (place / "refs" / "head").write_text(genuine)
    assert coordinator.adopt(ADMIN, place, AdoptOptions(TAKEN)).id == DATASET


@pytest.mark.parametrize(
    ("recorded", "kind"),
    [
        ("append-many-slices/dataset", DatasetKind.ROOT),
        ("derivative-multi-level/datasets/readings", DatasetKind.ROOT),
        ("derivative-multi-level/datasets/lv.a", DatasetKind.DERIVATIVE),
    ],
)
def test_what_a_real_kamu_wrote_is_adopted(
    coordinator: Coordinator, reference: Path, recorded: str, kind: DatasetKind
) -> None:
    told: list[VerifyProgress] = []

    entry = coordinator.adopt(
        ADMIN, reference / "odf" / "recorded" / recorded, AdoptOptions(TAKEN, on_rows=told.append)
    )

    assert entry.kind is kind
    assert told[-1].bytes_done == told[-1].bytes_total > 0
    assert coordinator.verify(ADMIN, entry.id, VerifyOptions(scope=VerifyScope.INTEGRITY)).is_valid


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
