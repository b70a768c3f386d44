"""Calls that a running kamu made to its engine (`odf/recorded/derivative-*/engine.json`), as requests to ours."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kamu_assets.engines.engine import TransformRequest, TransformRequestInput, Watermark
from kamu_assets.engines.slices.listing import ipc_schema
from kamu_assets.odf.data import DatasetVocabulary, OffsetInterval
from kamu_assets.odf.dataset import DataSlice, ExecuteTransform
from kamu_assets.odf.engine import SqlQueryStep, TransformSql
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.serde.flatbuffers import decode_block
from kamu_assets.odf.timestamp import Timestamp
from tests.support.reference import reference_folder

Json = dict[str, Any]


@dataclass(frozen=True)
class EngineCall:
    """One call; `answer` is None where the engine died."""

    scenario: str
    number: int
    request: Json
    answer_kind: str | None
    answer: Json

    @property
    def name(self) -> str:
        return f"{self.scenario}-{self.number}-{self.request['dataset_alias']}"

    @property
    def folder(self) -> Path:
        return reference_folder() / "odf" / "recorded" / self.scenario

    def to_request(self, out: Path) -> TransformRequest:
        return TransformRequest(
            dataset_id=DatasetID.parse(self.request["dataset_id"]),
            dataset_alias=DatasetAlias.parse(self.request["dataset_alias"]),
            system_time=_time(self.request["system_time"]),
            vocab=DatasetVocabulary(**self.request["vocab"]),
            transform=_transform(self.request["transform"]),
            query_inputs=tuple(self._input(entry) for entry in self.request["query_inputs"]),
            next_offset=self.request.get("next_offset", 0),
            prev_checkpoint_path=None,
            new_checkpoint_path=out / "checkpoint",
            new_data_path=out / "data",
        )

    @property
    def interval(self) -> OffsetInterval | None:
        return _interval(self.answer.get("new_offset_interval"))

    @property
    def watermark(self) -> Timestamp | None:
        mark = self.answer.get("new_watermark")
        return None if mark is None else _time(mark)

    def committed(self) -> DataSlice | None:
        """The slice that kamu made of the answer, if it committed one."""
        for path in self.folder.glob(f"datasets/{self.request['dataset_alias']}/blocks/*"):
            block = decode_block(path.read_bytes())
            if isinstance(block.event, ExecuteTransform) and block.system_time == _time(self.request["system_time"]):
                return block.event.new_data
        return None

    def data_file(self, location: str) -> Path:
        (path, *_) = self.folder.glob(f"datasets/*/data/{location.rpartition('/')[2]}")
        return path

    def _input(self, entry: Json) -> TransformRequestInput:
        paths = tuple(str(self.data_file(location)) for location in entry["data_paths"])
        return TransformRequestInput(
            dataset_id=DatasetID.parse(entry["dataset_id"]),
            dataset_alias=DatasetAlias.parse(entry["dataset_alias"]),
            query_alias=entry["query_alias"],
            vocab=DatasetVocabulary(**entry["vocab"]),
            offset_interval=_interval(entry.get("offset_interval")),
            data_paths=paths,
            schema=ipc_schema(pq.read_schema(paths[0] if paths else self._any_file(entry["dataset_alias"]))),
            explicit_watermarks=tuple(
                Watermark(_time(mark["system_time"]), _time(mark["event_time"]))
                for mark in entry["explicit_watermarks"]
            ),
        )

    def _any_file(self, alias: str) -> Path:
        (path, *_) = self.folder.glob(f"datasets/{alias}/data/*")
        return path


def engine_calls() -> Iterator[EngineCall]:
    for path in sorted((reference_folder() / "odf" / "recorded").glob("derivative-*/engine.json")):
        for number, call in enumerate(json.loads(path.read_text())["calls"]):
            answer = call["responses"][-1]["decoded"] if call["responses"] else {}
            yield EngineCall(
                scenario=path.parent.name,
                number=number,
                request=call["request"]["decoded"],
                answer_kind=answer.get("value_type"),
                answer=answer.get("value", {}),
            )


def _interval(interval: Json | None) -> OffsetInterval | None:
    return None if interval is None else OffsetInterval(start=interval.get("start", 0), end=interval.get("end", 0))


def _time(moment: Json) -> Timestamp:
    return Timestamp.parse(moment["text"])


def _transform(transform: Json) -> TransformSql:
    steps = tuple(SqlQueryStep(alias=step.get("alias"), query=step["query"]) for step in transform["queries"])
    return TransformSql(engine=transform["engine"], version=transform.get("version"), queries=steps)
