"""The read test: a recorded dataset, decoded, checked and printed by our library, is what kamu said it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kamu_assets.odf.arrow_schema import upgrade_legacy_schema
from kamu_assets.odf.chain_rules import check_append
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import AddData, DataSlice, ExecuteTransform, MetadataBlock, SetDataSchema
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde import flatbuffers
from kamu_assets.odf.serde.yaml import block_from_json, block_to_json
from tests.conformance.difference import DifferenceError, expect
from tests.conformance.recordings import Recorded
from tests.conformance.vectors.block_codec import check_decoding
from tests.support.parquet import SliceFile, field_text
from tests.support.rows import printed


@dataclass(frozen=True)
class OurReading:
    """The same dataset as we see it."""

    folder: Path
    state: ChainState
    blocks: list[MetadataBlock]

    @cached_property
    def slices(self) -> list[tuple[DataSlice, SliceFile]]:
        found = [block.event.new_data for block in self.blocks if isinstance(block.event, (AddData, ExecuteTransform))]
        return [(data, check_slice(self.folder, data)) for data in found if data]

    def lines(self) -> Iterator[str]:
        return printed([content.table for _, content in self.slices], _columns(self.state.schema))


def _columns(event: SetDataSchema | None) -> list[str]:
    if event is None:
        return []
    schema = event.schema_ or upgrade_legacy_schema(event.raw_arrow_schema or b"")
    return [field.name for field in schema.fields]


def check_dataset(recorded: Recorded) -> OurReading:
    """Everything the chain and the data of one dataset show."""
    ours = _check_chain(recorded)
    for path in sorted((recorded.folder / "blocks").iterdir()):
        _check_block_file(path)
    _check_rows(ours, recorded)
    if recorded.derived is not None:
        _check_derived(ours, recorded.derived)
    return ours


def _check_rows(ours: OurReading, recorded: Recorded) -> None:
    count = sum(content.table.num_rows for _, content in ours.slices)
    expect("number of records", ours=count, theirs=count if recorded.row_count is None else recorded.row_count)
    if recorded.rows is not None:
        lines = list(ours.lines())
        shown = lines[: len(recorded.rows)] if recorded.first_rows_only else lines
        expect("rows", ours=shown, theirs=recorded.rows)


def _check_chain(recorded: Recorded) -> OurReading:
    state, blocks = ChainState.empty(), []
    for number, expected in enumerate(recorded.blocks):
        raw = (recorded.folder / "blocks" / expected.hash).read_bytes()
        expect(f"block {number} hash", ours=str(flatbuffers.block_hash(raw)), theirs=expected.hash)
        expect(f"block {number} size", ours=len(raw), theirs=expected.size or len(raw))
        check_decoding(raw, version=expected.version, block=expected.json)
        block = flatbuffers.decode_block(raw)
        expect(f"block {number} from JSON", ours=block_from_json(expected.json) == block, theirs=True)
        check_append(state, block)
        state = state.extend(flatbuffers.block_hash(raw), block)
        blocks.append(block)
    expect("head", ours=str(state.head), theirs=recorded.head)
    expect("refs/head", ours=(recorded.folder / "refs/head").read_text(), theirs=recorded.head)
    expect("dataset id", ours=str(state.seed.dataset_id) if state.seed else None, theirs=recorded.dataset_id)
    return OurReading(recorded.folder, state, blocks)


def _check_block_file(path: Path) -> None:
    """Any block, also one the head does not lead to."""
    raw = path.read_bytes()
    expect(path.name, ours=str(flatbuffers.block_hash(raw)), theirs=path.name)
    version, block = flatbuffers.decode_manifest(raw)
    check_decoding(raw, version=version, block=block_to_json(block))


def check_slice(folder: Path, data: DataSlice) -> SliceFile:
    raw = (folder / "data" / str(data.physical_hash)).read_bytes()
    expect("slice size", ours=len(raw), theirs=data.size)
    expect("physical hash", ours=str(Multihash.sha3_256(raw)), theirs=str(data.physical_hash))
    content = SliceFile(raw)
    expect("logical hash", ours=str(content.logical_hash()), theirs=str(data.logical_hash))
    offsets = content.table.column(0).to_pylist()
    start, end = data.offset_interval.start, data.offset_interval.end
    if offsets != list(range(start, end + 1)):
        raise DifferenceError(f"offsets of {data.physical_hash}: not every one from {start} to {end}, in this order")
    return content


def _check_derived(ours: OurReading, expected: dict[str, Any]) -> None:
    state = ours.state
    expect("kind", ours=str(state.seed.dataset_kind) if state.seed else None, theirs=expected["kind"])
    expect("number of blocks", ours=len(ours.blocks), theirs=expected["numBlocks"])
    expect("watermark", ours=None if state.watermark is None else str(state.watermark), theirs=expected["watermark"])
    expect("last offset", ours=state.next_offset - 1 if state.next_offset else None, theirs=expected["lastOffset"])
    for (data, content), described in zip(ours.slices, expected["slices"], strict=True):
        mine = {
            "physicalHash": str(data.physical_hash),
            "numRows": content.table.num_rows,
            "arrowSchema": [field_text(field) for field in content.shown_schema],
        }
        expect("slice", ours=mine, theirs={key: described[key] for key in mine})
