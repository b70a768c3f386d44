"""A node with a pushed root and derivatives of it, for tests of verification."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from kamu_assets.coordinator.service import Coordinator, PushData
from kamu_assets.coordinator.verify.model import VerificationReport, VerifyOptions
from kamu_assets.datasets.chains.chains import ChainBlock
from kamu_assets.datasets.chains.references import References
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.engines.engine import Engine
from kamu_assets.engines.workers.job_runner import JobRunner
from kamu_assets.odf.data_hash import logical_hash
from kamu_assets.odf.dataset import AddData, ExecuteTransform, MetadataBlock
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import encode_block
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.layout import dataset_folder
from tests.support import manifests
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, open_heart
from tests.support.inline_engine import InlineEngine

READ = manifests.reading("event_time TIMESTAMP", "city STRING", "degrees DOUBLE")


@dataclass(frozen=True)
class VerifiedStory:
    """Datasets that grow, and reports on them."""

    heart: Heart
    coordinator: Coordinator

    def root(self, name: str = "readings", *, merge: str = manifests.APPEND) -> DatasetEntry:
        return self.heart.datasets.create_from_snapshot(ADMIN, manifests.pushed_root(name, READ, merge=merge))

    def derivative(self, name: str, query: str, *inputs: str, engine: str = "datafusion") -> DatasetEntry:
        text = manifests.derivative(name, query, *inputs, engine=engine)
        return self.heart.datasets.create_from_snapshot(ADMIN, text)

    def push(self, entry: DatasetEntry, rows: Iterable[dict[str, Any]]) -> Multihash:
        self._tick()
        body = "\n".join(json.dumps(row) for row in rows).encode()
        return self.coordinator.push(ADMIN, entry.id, PushData(body)).new_head

    def pull(self, entry: DatasetEntry) -> None:
        self._tick()
        self.coordinator.pull(ADMIN, entry.id)

    def verify(self, entry: DatasetEntry, options: VerifyOptions | None = None) -> VerificationReport:
        return self.coordinator.verify(ADMIN, entry.id, options)

    def files(self, entry: DatasetEntry, part: str = "data") -> list[Path]:
        """Files of a dataset, in the order of its blocks."""
        names = [str(found.block_hash) for found in self.heart.chains.blocks(entry.id, newest_first=False)]
        if part == "data":
            names = [str(data.new_data.physical_hash) for data in self._data(entry) if data.new_data]
        if part == "checkpoints":
            names = [str(data.new_checkpoint.physical_hash) for data in self._data(entry) if data.new_checkpoint]
        return [self.folder(entry) / part / name for name in names]

    def folder(self, entry: DatasetEntry) -> Path:
        return Path(self.heart.volumes.for_kind(entry.kind).location(dataset_folder(entry.id)))

    def forge(self, entry: DatasetEntry, rows: pa.Table | None = None, **said: object) -> None:
        """Put another block in the place of the last: well linked and hashed, but it says something else."""
        last = self._last(entry)
        event = last.block.event
        if rows is not None:
            said = self._stored(entry, rows) | said
        data = event.new_data.model_copy(update=said)  # type: ignore[union-attr] # the last block of a story adds data
        self.replace_head(entry, last.block.model_copy(update={"event": event.model_copy(update={"new_data": data})}))

    def replace_head(self, entry: DatasetEntry, block: MetadataBlock) -> Multihash:
        """Make a block the newest one, whatever the rules say."""
        head = self.heart.volumes.blocks(entry.kind).put(entry.id, encode_block(block))
        with self.heart.database.transaction() as tx:
            References().set_head(tx, entry.id, head)
        DatasetFiles.of(self.heart.volumes, entry).write_head(head)
        return head

    def last_rows(self, entry: DatasetEntry) -> pa.Table:
        rows = pq.read_table(self.files(entry)[-1])
        plain = [field.with_type(pa.string()) if pt.is_string_view(field.type) else field for field in rows.schema]
        return rows.cast(pa.schema(plain))

    def _stored(self, entry: DatasetEntry, rows: pa.Table) -> dict[str, object]:
        sink = io.BytesIO()
        pq.write_table(rows, sink)
        content = sink.getvalue()
        physical_hash = Multihash.sha3_256(content)
        (self.folder(entry) / "data" / str(physical_hash)).write_bytes(content)
        return {"physical_hash": physical_hash, "size": len(content), "logical_hash": logical_hash(rows)}

    def _last(self, entry: DatasetEntry) -> ChainBlock:
        return next(self.heart.chains.blocks(entry.id))

    def _data(self, entry: DatasetEntry) -> Iterator[AddData | ExecuteTransform]:
        for found in self.heart.chains.blocks(entry.id, newest_first=False):
            if isinstance(found.block.event, AddData | ExecuteTransform):
                yield found.block.event

    def _tick(self) -> None:
        self.heart.clock.set(Timestamp(self.heart.clock.now().ns + 60_000_000_000))


@contextmanager
def a_story(
    home: Path, *, pool: JobRunner | None = None, engines: Mapping[str, Engine] | None = None
) -> Iterator[VerifiedStory]:
    heart = open_heart(home)
    engines = {"datafusion": InlineEngine(), **(engines or {})}
    try:
        yield VerifiedStory(heart, a_coordinator(heart, base=home, verify_pool=pool, engines=engines))
    finally:
        heart.database.close()


def reading(day: int, city: str, degrees: float = 1.0) -> dict[str, Any]:
    return {"event_time": f"2024-03-{day:02}T00:00:00Z", "city": city, "degrees": degrees}


def flip(path: Path, *, at: int | None = None) -> bytes:
    """Change one byte, by default that in the middle; tells what was there."""
    before = path.read_bytes()
    content = bytearray(before)
    content[len(content) // 2 if at is None else at] ^= 0xFF
    path.write_bytes(bytes(content))
    return before


def flip_harmlessly(path: Path) -> None:
    """Change a letter in the name of the software that wrote the slice, which says nothing about rows."""
    content = path.read_bytes()
    path.write_bytes(content.replace(b"parquet-cpp", b"parquet-cpq"))
