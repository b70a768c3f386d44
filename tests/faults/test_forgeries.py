"""Chains that somebody forged, well hashed from the forged block on: refused by name, nothing of them is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamu_assets.errors import KamuError
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import encode_block
from tests.faults.forgeries import DATASET, FORGERIES, TAKEN, a_home, blocks_of, sealed, slice_changed, write
from tests.support.builders import a_hash, a_logical_hash
from tests.support.heart import ADMIN, Heart, an_entry, open_heart
from tests.support.verifier.dataset import verify
from tests.support.verifier.faults import FaultError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "theirs"
    folder.mkdir()
    return a_home(folder)


@pytest.fixture
def heart(tmp_path: Path) -> Heart:
    return open_heart(tmp_path)


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
