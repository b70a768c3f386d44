"""Roots that data is pushed to, and what is in them then."""

from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pyarrow.parquet as pq

from kamu_assets.coordinator.results import PushResult
from kamu_assets.coordinator.service import Coordinator, PushData
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.data import DataField, DataSchema, DataType, OptionType
from kamu_assets.odf.dataset import AddPushSource, DatasetKind
from kamu_assets.odf.engine import TransformSql, normalize_transform
from kamu_assets.odf.source import MergeStrategyAppend, ReadStep
from kamu_assets.storage.layout import data_key
from tests.support.builders import START
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, an_entry

SYSTEM = ("offset", "op", "system_time", "event_time")
_NUMBERS = count()


def columns(**types: DataType) -> DataSchema:
    """A schema of columns that may be null."""
    return DataSchema(fields=tuple(DataField(name=name, type=OptionType(inner=kind)) for name, kind in types.items()))


class NewRoot(Protocol):
    """Makes a root that is read like this."""

    def __call__(self, read: ReadStep, *, query: str | None = None) -> "PushedRoot": ...


def roots_of(heart: Heart) -> NewRoot:
    return partial(PushedRoot.create, heart, a_coordinator(heart, base=Path()))


@dataclass(frozen=True)
class PushedRoot:
    """One root dataset with one push source."""

    heart: Heart
    coordinator: Coordinator
    entry: DatasetEntry

    @classmethod
    def create(
        cls, heart: Heart, coordinator: Coordinator, read: ReadStep, *, query: str | None = None
    ) -> "PushedRoot":
        entry = an_entry(f"pushed-{next(_NUMBERS)}", kind=DatasetKind.ROOT)
        preprocess = None if query is None else normalize_transform(TransformSql(engine="datafusion", query=query))
        source = AddPushSource(source_name="default", read=read, preprocess=preprocess, merge=MergeStrategyAppend())
        heart.committer.create(entry, [source], system_time=START)
        return cls(heart, coordinator, entry)

    def push(self, content: bytes | Path, name: str = "data", *, media_type: str | None = None) -> PushResult:
        return self.coordinator.push(ADMIN, self.entry.id, PushData(content, name), media_type=media_type)

    def columns(self) -> dict[str, str]:
        """Names and Arrow types of what was pushed."""
        schema = self._slice(0).schema
        return {field.name: str(field.type) for field in schema if field.name not in SYSTEM}

    def rows(self) -> list[dict[str, Any]]:
        """What was pushed, in its order."""
        rows = [row for number in range(len(self._slices())) for row in self._slice(number).to_pylist()]
        return [{key: value for key, value in row.items() if key not in SYSTEM} for row in rows]

    def logical_hash(self) -> str:
        """Of the last slice."""
        data = self.heart.chains.state(self.entry.id).last_data
        assert data is not None
        assert data.new_data is not None
        return str(data.new_data.logical_hash)

    def _slice(self, number: int) -> Any:
        store = self.heart.volumes.for_kind(self.entry.kind)
        return pq.read_table(store.location(data_key(self.entry.id, self._slices()[number].physical_hash)))

    def _slices(self) -> list[Any]:
        head = self.heart.chains.head(self.entry.id)
        assert head is not None
        return list(self.heart.chains.slices(self.entry.id, after=None, until=head))
