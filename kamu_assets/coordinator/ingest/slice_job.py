"""One slice: inputs are read, preprocessed, merged, completed and written in one pass."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow as pa

from kamu_assets.coordinator.ingest.columns import MILLIS_UTC, describe_schema, fit_schema
from kamu_assets.coordinator.ingest.completion import Completion
from kamu_assets.coordinator.ingest.event_order import OutOfOrderError, in_order
from kamu_assets.coordinator.ingest.input_rows import InputRows, Surroundings
from kamu_assets.coordinator.ingest.merge.needs import key_columns, looks_back
from kamu_assets.coordinator.ingest.session import open_bench
from kamu_assets.coordinator.ingest.sidecars.errors import SidecarUnusableError
from kamu_assets.coordinator.ingest.sidecars.history import History, open_history
from kamu_assets.coordinator.ingest.sidecars.layout import Layout
from kamu_assets.coordinator.ingest.sidecars.seen import SeenKeys
from kamu_assets.coordinator.ingest.sidecars.use import Contents
from kamu_assets.coordinator.ingest.slice_request import InputOutcome, SliceInput, SliceRequest, SliceResult
from kamu_assets.engines.slices.facts import SliceStats
from kamu_assets.engines.slices.writer import SliceWriter
from kamu_assets.engines.workers.process import report
from kamu_assets.engines.workers.wire import Failure
from kamu_assets.errors import KamuError
from kamu_assets.odf.arrow_schema import to_arrow
from kamu_assets.odf.data import DataSchema
from kamu_assets.storage.files import told_plainly


def make_slice(request: SliceRequest) -> SliceResult:
    """Do what the request says, in this process."""
    folder = request.target.parent
    with told_plainly(folder):
        job = _SliceJob(request, folder)
        return job.single() if len(request.inputs) == 1 else job.group()


@dataclass(frozen=True, slots=True)
class _Taken:
    schema: pa.Schema | None
    batches: list[pa.RecordBatch]


class _SliceJob:
    def __init__(self, request: SliceRequest, scratch: Path) -> None:
        self._request = request
        self._scratch = scratch
        self._schema = request.schema
        self._history: History | None = None
        # With the keys of rows taken from earlier inputs of this very job.
        self._seen: SeenKeys | None = None
        self._opened = 0

    def single(self) -> SliceResult:
        """Stream the only input through; memory is bounded by batches as long as its rows come in order."""
        known = self._schema
        rows = self._open(self._request.inputs[0])
        if rows is None:
            return SliceResult((InputOutcome(),), known, None)
        schema = self._fit(rows)
        try:
            stats = self._stream(schema, _checked(rows))
        except OutOfOrderError:
            stats = self._stream(schema, rows.stream_sorted())
        return SliceResult((self._outcome(known, stats.num_records if stats else 0),), self._schema, stats)

    def group(self) -> SliceResult:
        """Hold the rows of each input until it is known to be good, then write them one after another."""
        outcomes: list[InputOutcome] = []
        batches: list[pa.RecordBatch] = []
        schema: pa.Schema | None = None
        for one in self._request.inputs:
            known = self._schema
            try:
                taken = self._take(one)
            except SidecarUnusableError:
                raise
            except KamuError as error:
                # A refused input must not decide what the schema is.
                self._schema = known
                outcomes.append(InputOutcome(failure=Failure.of(error)))
                continue
            outcomes.append(self._outcome(known, sum(batch.num_rows for batch in taken.batches)))
            batches += taken.batches
            schema = schema or taken.schema
        stats = None if schema is None else self._write(self._completion(schema), batches)
        return SliceResult(tuple(outcomes), self._schema, stats)

    def _take(self, one: SliceInput) -> "_Taken":
        """All rows of one input, completed as far as they can be before they are numbered."""
        rows = self._open(one)
        if rows is None:
            return _Taken(None, [])
        schema = self._fit(rows)
        try:
            found = list(_checked(rows))
        except OutOfOrderError:
            found = list(rows.stream_sorted())
        completion = self._completion(schema)
        batches = [completion.prepared(batch, one.source_event_time) for batch in found]
        self._count_as_seen(batches)
        return _Taken(schema, batches)

    def _open(self, one: SliceInput) -> InputRows | None:
        around = Surroundings(
            vocab=self._request.vocab,
            merge=self._request.merge,
            event_time_type=self._event_time_type(),
            dataset_schema=self._schema,
            limits=self._request.limits,
            history=self._open_history,
            seen=self._seen_keys,
        )
        folder = self._scratch
        if len(self._request.inputs) > 1:
            folder = self._folder(str(self._opened))
            self._opened += 1
        return InputRows.open(one, around=around, scratch=folder)

    def _open_history(self) -> History | None:
        """What previous data tells the merge strategy; nothing before the dataset has a schema."""
        request, contents = self._request, looks_back(self._request.merge)
        if contents is None or self._schema is None:
            return None
        if self._history is None:
            layout = Layout(contents, key_columns(request.merge), to_arrow(self._schema), request.vocab)
            bench = open_bench(request.limits, self._folder("history"))
            self._history = open_history(bench, layout, request.previous, request.sidecar)
        return self._history

    def _seen_keys(self) -> SeenKeys | None:
        if self._seen is None and looks_back(self._request.merge) is Contents.KEYS:
            history = self._open_history()
            self._seen = SeenKeys(history) if history is not None else None
        return self._seen

    def _count_as_seen(self, batches: list[pa.RecordBatch]) -> None:
        seen = self._seen_keys()
        if seen is not None:
            seen.add(batches)

    def _folder(self, name: str) -> Path:
        folder = self._scratch / name
        folder.mkdir(exist_ok=True)
        return folder

    def _event_time_type(self) -> pa.DataType:
        column = self._request.vocab.event_time_column
        if self._schema is None or column not in [field.name for field in self._schema.fields]:
            return MILLIS_UTC
        return to_arrow(self._schema).field(column).type

    def _fit(self, rows: InputRows) -> pa.Schema:
        """The slice's columns for these rows; the first rows of a dataset decide its schema."""
        if self._schema is None:
            self._schema = describe_schema(rows.slice_schema, name=rows.name)
            return rows.slice_schema
        return fit_schema(rows.slice_schema, self._schema, name=rows.name)

    def _outcome(self, known: DataSchema | None, records: int) -> InputOutcome:
        return InputOutcome(records, sets_schema=known is None and self._schema is not None)

    def _completion(self, schema: pa.Schema) -> Completion:
        request = self._request
        return Completion(schema, request.vocab, system_time=request.system_time, next_offset=request.next_offset)

    def _stream(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> SliceStats | None:
        completion = self._completion(schema)
        moment = self._request.inputs[0].source_event_time
        return self._write(completion, (completion.prepared(batch, moment) for batch in batches))

    def _write(self, completion: Completion, batches: Iterable[pa.RecordBatch]) -> SliceStats | None:
        rows = iter(batches)
        first = next(rows, None)
        if first is None:
            return None
        request = self._request
        with SliceWriter(request.target, completion.schema, vocab=request.vocab, encodings=request.encodings) as writer:
            written = 0
            for batch in chain([first], rows):
                writer.write(completion.numbered(batch))
                written += batch.num_rows
                report(written)
            return writer.finish()


def _checked(rows: InputRows) -> Iterator[pa.RecordBatch]:
    """The records in commit order; raises OutOfOrderError where they are not."""
    return in_order(rows.stream(), rows.event_time) if rows.keeps_order else rows.stream()
