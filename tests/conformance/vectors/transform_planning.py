"""What the next transform reads from an input, and how far its output is complete."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Any

from kamu_assets.coordinator.errors import InvalidInputIntervalError
from kamu_assets.coordinator.transform_plan import InputChain, InputPlan, plan_input
from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.block_index import BlockIndex
from kamu_assets.datasets.chains.block_rows import index_block
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.errors import InvalidBlockIntervalError
from kamu_assets.engines.datafusion.engine import _watermark
from kamu_assets.engines.engine import TransformRequestInput, Watermark
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import DatasetVocabulary, OffsetInterval
from kamu_assets.odf.dataset import AddData, DataSlice, ExecuteTransformInput, MetadataBlock, MetadataEvent, SetInfo
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import block_hash, decode_header, encode_block
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.memory import MemoryObjectStore
from kamu_assets.storage.volumes import Volumes
from tests.conformance.difference import DifferenceError, expect
from tests.support.builders import a_dataset_id, a_hash, a_logical_hash, a_schema, a_seed

INPUT = a_dataset_id("input")


def check(case: dict[str, Any]) -> None:
    match case["op"]:
        case "plan_input":
            _check_plan(case)
        case "output_watermark":
            found = _watermark(tuple(map(_with_watermarks, case["explicit_watermarks_per_input"])))
            expect("watermark", ours=None if found is None else str(found), theirs=case["expected"])
        case op:
            raise DifferenceError(f"unknown op `{op}`")


def _check_plan(case: dict[str, Any]) -> None:
    with closing(_Input()) as chain:
        for entry in case["input_chain"]:
            chain.add(entry)
        run = partial(plan_input, chain.as_input(), chain.previous(case["previous"]))
        if "error" not in case["expected"]:
            expect("plan", ours=chain.told(run()), theirs=case["expected"])
            return
        try:
            plan = run()
        except (InvalidBlockIntervalError, InvalidInputIntervalError):
            return
        raise DifferenceError(f"planned {chain.told(plan)}, theirs {case['expected']['error']}")


class _Input:
    """An input in a real block index. Vectors name blocks and files as they like: `b3`, `data-b3`."""

    def __init__(self) -> None:
        store = MemoryObjectStore()
        self._database = Database.temporary()
        self._chains = Chains(database=self._database, volumes=Volumes(store, store))
        self._state = ChainState.empty()
        self._names: dict[Multihash, str] = {}
        self._hashes: dict[str, Multihash] = {}

        self._database.migrate()

    def close(self) -> None:
        self._database.close()

    def add(self, entry: dict[str, Any]) -> None:
        before = self._state
        block = MetadataBlock(
            system_time=Timestamp.parse(entry["systemTime"]),
            prev_block_hash=before.head,
            sequence_number=before.sequence_number + 1,
            event=self._event(entry),
        )
        raw = encode_block(block)
        name, kind = block_hash(raw), decode_header(raw).event_kind
        indexed = index_block(name, block, kind=kind, size=len(raw), previous_watermark=before.watermark)
        with self._database.transaction() as tx:
            BlockIndex().add(tx, INPUT, [indexed])
        # Some of these chains could not be written today; what may follow what is no matter here.
        self._state = before.extend(name, block)
        self._name(name, entry["hash"])

    def as_input(self) -> InputChain:
        head = self._state.head
        if head is None:
            raise DifferenceError("the input has no blocks")
        news = partial(self._chains.interval, INPUT, until=head)
        return InputChain(INPUT, head, self._state.last_offset, lambda block: news(after=block))

    def previous(self, given: dict[str, Any] | None) -> ExecuteTransformInput | None:
        if given is None:
            return None
        prev, new = given.get("prevBlockHash"), given.get("newBlockHash")
        return ExecuteTransformInput(
            dataset_id=INPUT,
            prev_block_hash=prev and self._hash(prev),
            new_block_hash=new and self._hash(new),
            prev_offset=given.get("prevOffset"),
            new_offset=given.get("newOffset"),
        )

    def told(self, plan: InputPlan) -> dict[str, Any]:
        """A plan in the words of the vectors."""
        found = plan.query_input
        query_input = {
            "prevBlockHash": found.prev_block_hash and self._names[found.prev_block_hash],
            "newBlockHash": found.new_block_hash and self._names[found.new_block_hash],
            "prevOffset": found.prev_offset,
            "newOffset": found.new_offset,
        }
        marks = [(str(mark.system_time), str(mark.watermark)) for mark in plan.watermarks]
        return {
            "queryInput": {key: value for key, value in query_input.items() if value is not None},
            "dataSlices": [self._names[part.physical_hash] for part in plan.slices],
            "explicitWatermarks": [{"systemTime": system, "eventTime": event} for system, event in marks],
            "nothingToDo": plan.nothing_to_do,
        }

    def _event(self, entry: dict[str, Any]) -> MetadataEvent:
        match entry["kind"]:
            case "Seed":
                return a_seed(name="input")
            case "SetDataSchema":
                return a_schema()
            case "AddData":
                return self._add_data(entry)
            case other:
                return SetInfo(description=other)

    def _add_data(self, entry: dict[str, Any]) -> AddData:
        watermark = entry.get("newWatermark")
        return AddData(
            prev_offset=entry.get("prevOffset"),
            new_data=self._slice(entry) if "newOffsets" in entry else None,
            new_watermark=None if watermark is None else Timestamp.parse(watermark),
        )

    def _slice(self, entry: dict[str, Any]) -> DataSlice:
        start, end = entry["newOffsets"]
        return DataSlice(
            logical_hash=a_logical_hash(entry["physicalHash"]),
            physical_hash=self._name(a_hash(entry["physicalHash"]), entry["physicalHash"]),
            offset_interval=OffsetInterval(start=start, end=end),
            size=1,
        )

    def _name(self, found: Multihash, name: str) -> Multihash:
        self._names[found] = name
        self._hashes[name] = found
        return found

    def _hash(self, name: str) -> Multihash:
        return self._hashes.get(name) or self._name(a_hash(name), name)


def _with_watermarks(moments: list[str]) -> TransformRequestInput:
    return TransformRequestInput(
        dataset_id=INPUT,
        dataset_alias=DatasetAlias.parse("kamu/input"),
        query_alias="input",
        vocab=DatasetVocabulary(),
        offset_interval=None,
        data_paths=(),
        schema=b"",
        explicit_watermarks=tuple(Watermark(Timestamp(0), Timestamp.parse(moment)) for moment in moments),
    )
