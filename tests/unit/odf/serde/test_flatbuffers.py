import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kamu_assets.errors import InvalidError
from kamu_assets.odf import data
from kamu_assets.odf.dataset import DatasetKind, MetadataBlock, Seed, SetDataSchema, SetInfo
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.serde.flatbuffers import (
    EventKind,
    MalformedBlockError,
    UnencodableError,
    UnsupportedVersionError,
    block_hash,
    decode_block,
    decode_header,
    decode_manifest,
    encode_block,
)
from kamu_assets.odf.timestamp import Timestamp
from tests.unit.odf.reference import recorded_chains, vectors
from tests.unit.odf.strategies import blocks

SEED = MetadataBlock(
    system_time=Timestamp.parse("2020-01-01T00:00:00.123456789Z"),
    sequence_number=0,
    event=Seed(dataset_id=DatasetID.seeded(b"foo"), dataset_kind=DatasetKind.DERIVATIVE),
)


def block_of(event: SetDataSchema | SetInfo) -> MetadataBlock:
    return MetadataBlock(system_time=Timestamp(0), sequence_number=1, event=event)


def nested_schema(depth: int) -> SetDataSchema:
    inner: data.DataType = data.StringType()
    for _ in range(depth):
        inner = data.OptionType(inner=inner)
    return SetDataSchema(schema_=data.DataSchema(fields=(data.DataField(name="a", type=inner),)))


def test_golden_blocks_are_decoded_and_encoded_to_the_same_bytes() -> None:
    for case in vectors("block_codec"):
        raw = bytes.fromhex(case["bytes_hex"])
        expected = MetadataBlock.model_validate(case["block"])

        assert decode_manifest(raw) == (case["manifest_version"], expected), case["id"]
        assert encode_block(expected, version=case["manifest_version"]) == raw, case["id"]
        assert str(block_hash(raw)) == case["hash"]


def test_recorded_blocks_are_decoded_and_encoded_to_the_same_bytes() -> None:
    count = 0
    for chain in recorded_chains():
        for file in (chain / "blocks").iterdir():
            raw = file.read_bytes()
            version, block = decode_manifest(raw)

            assert encode_block(block, version=version) == raw, file
            assert str(block_hash(raw)) == file.name
            count += 1
    assert count > 1000


@given(blocks, st.sampled_from([2, 3]))
def test_any_block_survives_its_bytes(block: MetadataBlock, version: int) -> None:
    raw = encode_block(block, version=version)

    assert decode_manifest(raw) == (version, block)
    assert encode_block(decode_block(raw), version=version) == raw


@given(blocks, st.sampled_from([2, 3]))
def test_a_header_says_what_the_block_says(block: MetadataBlock, version: int) -> None:
    header = decode_header(encode_block(block, version=version))

    assert (header.version, header.system_time) == (version, block.system_time)
    assert (header.prev_block_hash, header.sequence_number) == (block.prev_block_hash, block.sequence_number)
    assert header.event_kind.name.replace("_", "").lower() == block.event.kind.lower()


def test_a_header_knows_the_event() -> None:
    assert decode_header(encode_block(SEED)).event_kind is EventKind.SEED


def test_damaged_blocks_of_the_vectors_are_refused() -> None:
    for case in vectors("block_decode_errors"):
        raw = bytes.fromhex(case["bytes_hex"])
        unsupported = case["expected"]["error"].startswith("UnsupportedVersion")
        expected = UnsupportedVersionError if unsupported else MalformedBlockError

        with pytest.raises(expected):
            decode_block(raw)
        with pytest.raises(expected):
            decode_header(raw)


@given(st.binary(max_size=300))
@example(b"")
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(InvalidError):
        decode_block(noise)
    with pytest.raises(InvalidError):
        decode_header(noise)


@given(blocks, st.data())
def test_a_damaged_block_is_decoded_or_refused(block: MetadataBlock, draw: st.DataObject) -> None:
    raw = bytearray(encode_block(block))
    for _ in range(draw.draw(st.integers(1, 4))):
        raw[draw.draw(st.integers(0, len(raw) - 1))] = draw.draw(st.integers(0, 255))

    for decode in (decode_block, decode_header):
        try:
            decode(bytes(raw))
        except (MalformedBlockError, UnsupportedVersionError):
            continue


@given(blocks, st.data())
def test_a_cut_block_is_refused(block: MetadataBlock, draw: st.DataObject) -> None:
    raw = encode_block(block)

    with pytest.raises(MalformedBlockError):
        decode_block(raw[: draw.draw(st.integers(0, len(raw) - 1))])


def test_a_vector_longer_than_the_buffer_is_refused() -> None:
    raw = encode_block(block_of(SetInfo(keywords=("needle",))))
    count = raw.index(b"needle") - 4

    broken = raw[:count] + struct.pack("<I", 2**32 - 1) + raw[count + 4 :]

    with pytest.raises(MalformedBlockError, match="after the buffer"):
        decode_block(broken)


def test_one_part_used_over_and_over_is_refused() -> None:
    raw = encode_block(block_of(SetInfo(keywords=("x" * 2000, *[""] * 500))))
    text = raw.index(b"x" * 2000) - 4
    first = next(at for at in range(0, text, 4) if at + struct.unpack_from("<I", raw, at)[0] == text)

    bomb = bytearray(raw)
    for at in range(first, first + 4 * 501, 4):
        struct.pack_into("<I", bomb, at, text - at)

    with pytest.raises(MalformedBlockError, match="over and over"):
        decode_block(bytes(bomb))


def test_nesting_has_a_limit_in_both_directions() -> None:
    deep = encode_block(block_of(nested_schema(50)))

    assert decode_block(deep) == block_of(nested_schema(50))
    with pytest.raises(UnencodableError):
        encode_block(block_of(nested_schema(70)))


def test_a_year_that_does_not_fit_is_refused() -> None:
    late = SEED.model_copy(update={"system_time": Timestamp(10**32)})

    with pytest.raises(UnencodableError):
        encode_block(late)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(UnencodableError):
        encode_block(block_of(SetInfo(description="\ud800")))


@pytest.mark.parametrize("version", [0, 1, 4])
def test_other_versions_are_not_written(version: int) -> None:
    with pytest.raises(UnsupportedVersionError):
        encode_block(SEED, version=version)
