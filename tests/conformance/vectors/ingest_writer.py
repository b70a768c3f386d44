"""Writes into one root dataset, each from CSV text to the events and rows it commits."""

import tempfile
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from kamu_assets.coordinator.ingest.errors import IncompatibleSchemaError, NullInRequiredError
from kamu_assets.coordinator.ingest.slice_events import NewData, plan_events, schema_of
from kamu_assets.coordinator.ingest.slice_request import SliceInput, SliceRequest, SliceResult
from kamu_assets.coordinator.ingest.worker_jobs import write_slice
from kamu_assets.errors import InvalidError
from kamu_assets.odf.chain_rules import check_append
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.dataset import AddData, DataSlice, MetadataBlock, MetadataEvent, Seed
from kamu_assets.odf.identity import DatasetID, DatasetKind
from kamu_assets.odf.serde import flatbuffers
from kamu_assets.odf.source import MergeStrategy, ReadStepCsv, SourceState
from kamu_assets.odf.timestamp import Timestamp
from tests.conformance.difference import DifferenceError, expect
from tests.support.parquet import SliceFile
from tests.support.rows import dumps, printed

STRATEGIES: TypeAdapter[MergeStrategy] = TypeAdapter(MergeStrategy)
REFUSALS = {"IncompatibleSchema": IncompatibleSchemaError, "ExecutionError": NullInRequiredError}


def check(case: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dataset = _Dataset(Path(folder), STRATEGIES.validate_python(case["merge"]))
        for number, write in enumerate(case["writes"]):
            _check_write(dataset, write, f"write {number}")


def _check_write(dataset: "_Dataset", write: dict[str, Any], where: str) -> None:
    if "expect_error" in write:
        _check_refused(dataset, write, where)
        return
    added = dataset.write(write)
    rows = dataset.rows(added)
    expect(f"{where}: rows", ours=rows, theirs=[dumps(row) for row in write["expect_rows"]])
    if "expect_watermark" in write:
        watermark = None if added is None or added.new_watermark is None else str(added.new_watermark)
        expect(f"{where}: watermark", ours=watermark, theirs=write["expect_watermark"])


def _check_refused(dataset: "_Dataset", write: dict[str, Any], where: str) -> None:
    before = dataset.state
    if write["expect_error"] == "EmptyCommit":
        dataset.write(write)
        expect(f"{where}: head", ours=str(dataset.state.head), theirs=str(before.head))
        return
    wanted = REFUSALS.get(write["expect_error"], InvalidError)
    try:
        dataset.write(write)
    except wanted:
        expect(f"{where}: head", ours=str(dataset.state.head), theirs=str(before.head))
    except InvalidError as error:
        raise DifferenceError(f"{where}: refused as {type(error).__name__}, theirs {write['expect_error']}") from error
    else:
        raise DifferenceError(f"{where}: accepted, theirs {write['expect_error']}")


class _Dataset:
    def __init__(self, folder: Path, merge: MergeStrategy) -> None:
        self.state = ChainState.empty()
        self._folder = folder
        self._merge = merge
        self._slices: list[str] = []
        seed = Seed(dataset_id=DatasetID.seeded(b"vector"), dataset_kind=DatasetKind.ROOT)
        self._append(seed, Timestamp(0))

    def write(self, write: dict[str, Any]) -> AddData | None:
        """Ingest one text; the AddData committed for it."""
        now = Timestamp.parse(write["system_time"])
        target = self._folder / f"slice-{len(self._slices)}"
        result = write_slice(self._request(write, now, target))
        state = SourceState.model_validate(write["source_state"]) if "source_state" in write else None
        events = plan_events(self.state, _new_data(result, state))
        if result.stats:
            self._slices.append(str(target))
        for event in events:
            self._append(event, now)
        return next((event for event in events if isinstance(event, AddData)), None)

    def rows(self, added: AddData | None) -> list[str]:
        if added is None or added.new_data is None:
            return []
        table = SliceFile(Path(self._slices[-1]).read_bytes()).table
        return list(printed([table], table.column_names))

    def _request(self, write: dict[str, Any], now: Timestamp, target: Path) -> SliceRequest:
        source = SliceInput(
            name="vector.csv",
            content=write["csv"].encode(),
            read=ReadStepCsv(header=True, ddl_schema=(write["ddl"],)),
            preprocess=None,
            source_event_time=Timestamp.parse(write["source_event_time"]),
        )
        return SliceRequest(
            inputs=(source,),
            merge=self._merge,
            vocab=self.state.vocab,
            schema=schema_of(self.state),
            previous=tuple(self._slices),
            next_offset=self.state.next_offset,
            system_time=now,
            target=target,
        )

    def _append(self, event: MetadataEvent, now: Timestamp) -> None:
        number = self.state.sequence_number + 1
        block = MetadataBlock(system_time=now, prev_block_hash=self.state.head, sequence_number=number, event=event)
        check_append(self.state, block)
        self.state = self.state.extend(flatbuffers.block_hash(flatbuffers.encode_block(block)), block)


def _new_data(result: SliceResult, state: SourceState | None) -> NewData:
    stats = result.stats
    if stats is None or stats.first_offset is None or stats.last_offset is None:
        return NewData(schema=result.schema, source_state=state)
    data = DataSlice(
        logical_hash=stats.logical_hash,
        physical_hash=stats.physical_hash,
        offset_interval=OffsetInterval(start=stats.first_offset, end=stats.last_offset),
        size=stats.size,
    )
    return NewData(schema=result.schema, data_slice=data, max_event_time=stats.max_event_time, source_state=state)
