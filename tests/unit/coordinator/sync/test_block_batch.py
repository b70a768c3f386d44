import base64
import gzip
import io
import tarfile
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.coordinator.sync.block_batch import MalformedBatchError, RawBlock, pack_blocks, unpack_blocks
from kamu_assets.coordinator.sync.messages import BlocksBatch
from kamu_assets.odf.multihash import Multihash
from tests.unit.odf.vectors import cases


def block(data: bytes) -> RawBlock:
    return RawBlock(Multihash.sha3_256(data), data)


def batch_of(tar: bytes, count: int = 1) -> BlocksBatch:
    return BlocksBatch(num_blocks=count, payload=gzip.compress(tar))


def tar_of(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for entry, data in entries:
            tar.addfile(entry, io.BytesIO(data))
    return plain.getvalue()


def entry(name: str, *, size: int = 0, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info


@given(st.lists(st.binary(max_size=2000), max_size=5))
def test_blocks_come_back_in_order(contents: list[bytes]) -> None:
    blocks = [block(data) for data in contents]

    assert unpack_blocks(pack_blocks(blocks)) == blocks


def test_a_batch_of_the_reference_is_read() -> None:
    (case,) = (param.values[0] for param in cases("smart_protocol_messages") if param.id == "blocks_batch/e2e")
    batch = BlocksBatch(num_blocks=case["expected"]["num_blocks"], payload=base64.b64decode(case["payload_base64"]))

    assert [str(found.hash) for found in unpack_blocks(batch)] == case["expected"]["entries_in_order"]


def test_equal_blocks_give_equal_bytes_and_say_nothing_of_the_sender() -> None:
    batch = pack_blocks([block(b"one")])
    time.sleep(0.01)

    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(batch.payload))) as tar:
        (found,) = tar.getmembers()

    assert pack_blocks([block(b"one")]) == batch
    assert (found.mode, found.mtime, found.uid, found.gid, found.uname, found.type) == (0, 0, 0, 0, "", b"\0")


ONE = block(b"one")
NAME = str(ONE.hash)


@pytest.mark.parametrize(
    ("batch", "problem"),
    [
        (BlocksBatch(num_blocks=1, payload=b""), "cut off"),
        (BlocksBatch(num_blocks=1, payload=b"plain"), "not compressed with gzip"),
        (BlocksBatch(num_blocks=1, payload=pack_blocks([ONE]).payload[:-9]), "cut off"),
        (batch_of(b"no tar" * 200), "not in a tarball"),
        (batch_of(tar_of((entry(NAME, size=3), b"one")), count=2), "2 blocks were announced, 1 are there"),
        (batch_of(tar_of((entry(NAME, size=3), b"one")), count=0), "0 blocks were announced, more are there"),
        (batch_of(tar_of((entry(NAME, size=3), b"two"))), "has another hash"),
        (batch_of(tar_of((entry("../../etc/passwd", size=3), b"one"))), "not named by a hash"),
        (batch_of(tar_of((entry(NAME, kind=tarfile.DIRTYPE), b""))), "not a plain file"),
        (batch_of(tar_of((entry(NAME, kind=tarfile.SYMTYPE), b""))), "not a plain file"),
        (batch_of(tar_of((entry(NAME, kind=tarfile.LNKTYPE), b""))), "not a plain file"),
        (batch_of(tar_of((entry(NAME, kind=tarfile.CHRTYPE), b""))), "not a plain file"),
        (batch_of(tar_of((entry(NAME, size=10), b"0123456789"))[:515]), "tarball"),
    ],
)
def test_a_hostile_batch_is_refused(batch: BlocksBatch, problem: str) -> None:
    with pytest.raises(MalformedBatchError, match=problem):
        unpack_blocks(batch)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = BlocksBatch(num_blocks=1, payload=gzip.compress(bytes(10_000_000)))

    with pytest.raises(MalformedBatchError, match="more than 1000 bytes"):
        unpack_blocks(bomb, max_bytes=1000)


def test_a_sparse_file_cannot_claim_more_than_was_sent() -> None:
    sparse = entry(NAME, size=0, kind=tarfile.GNUTYPE_SPARSE)

    with pytest.raises(MalformedBatchError):
        unpack_blocks(batch_of(tar_of((sparse, b""))))


@given(st.binary(max_size=1200))
def test_any_tar_is_blocks_or_a_refusal(tail: bytes) -> None:
    tar = tar_of((entry(NAME, size=3), b"one"))[:1024]

    try:
        unpack_blocks(batch_of(tar + tail, count=2))
    except MalformedBatchError:
        return
