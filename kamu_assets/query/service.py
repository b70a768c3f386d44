"""The use cases of reading: a query, and the newest rows of a dataset."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from kamu_assets.auth.model import Caller
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.chains.past import PastStates
from kamu_assets.datasets.damaged_slices import StoredSlice, bad_slices_blamed, rewrites_told
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.engines.workers.limits import WorkerLimits
from kamu_assets.engines.workers.pool import WorkerPool
from kamu_assets.errors import InvalidError
from kamu_assets.monitoring import metrics
from kamu_assets.odf.identity import DatasetRef
from kamu_assets.odf.multihash import Multihash
from kamu_assets.query.asked_before import AskedBefore
from kamu_assets.query.catalog import QueryCatalog
from kamu_assets.query.errors import InvalidPageError
from kamu_assets.query.exports.model import ExportJob, ExportRequest, ExportResult
from kamu_assets.query.history.model import BY_ITSELF, Origin
from kamu_assets.query.history.recorder import QueryRecorder
from kamu_assets.query.history.running import RunningQuery
from kamu_assets.query.model import DataFormat, PinnedDataset, QueryRequest, QueryResponse
from kamu_assets.query.requests import AnswerShape, JobAnswer, QueryJob, TailJob
from kamu_assets.query.tables.specs import TableSpecs
from kamu_assets.query.worker_jobs import run_export, run_query, run_tail
from kamu_assets.storage.volumes import Volumes

DEFAULT_LIMIT: Final = 100
# No dataset has more rows.
_MAX_SKIP: Final = 2**63 - 1
_EXPORT_SECONDS: Final = 86_400.0


class TooManyRowsError(InvalidError):
    """More was asked for than one answer may hold, and there is more."""

    def __init__(self, max_rows: int) -> None:
        super().__init__(
            f"there are more than {max_rows} rows (setting query.max_rows): ask for pages of them with `skip` and"
            " `limit`, or write them to files with `kamu-node sql --output-path`"
        )
        self.max_rows = max_rows


class QueryService:
    """Reads for callers, in worker processes."""

    def __init__(
        self,
        *,
        datasets: Datasets,
        chains: Chains,
        past: PastStates,
        volumes: Volumes,
        pool: WorkerPool,
        recorder: QueryRecorder,
        memory_bytes: int = 1 << 30,
        max_rows: int = 100_000,
        max_answer_bytes: int = 64 << 20,
    ) -> None:
        self._datasets = datasets
        self._chains = chains
        self._past = past
        self._tables = TableSpecs(datasets=datasets, chains=chains, volumes=volumes)
        self._asked = AskedBefore()
        self._pool = pool
        self._recorder = recorder
        self._memory_bytes = memory_bytes
        self._max_rows = max_rows
        self._max_answer_bytes = max_answer_bytes

    def query(
        self,
        caller: Caller,
        request: QueryRequest,
        *,
        cancel: threading.Event | None = None,
        origin: Origin = BY_ITSELF,
    ) -> QueryResponse:
        """Run SQL over the datasets the caller may read, as of their heads when it comes or later, or as pinned."""
        with self._recorder.recording(caller, origin, request.sql, cancel=cancel) as noted:
            return self._query(caller, request, noted)

    def _query(self, caller: Caller, request: QueryRequest, noted: RunningQuery) -> QueryResponse:
        limit = DEFAULT_LIMIT if request.limit is None else request.limit
        shape = self._shape(request.skip, limit, request.data_format, sort_keys=request.sort_keys)
        shape = replace(shape, keeps_nan=request.keeps_nan)
        catalog = QueryCatalog(
            caller,
            datasets=self._datasets,
            chains=self._chains,
            past=self._past,
            tables=self._tables,
            pins=request.datasets,
        )
        noted.datasets = lambda: catalog.pinned
        known = tuple(catalog.in_advance(self._asked.by(request.sql)))
        job = QueryJob(request.sql, shape, self._memory_bytes, 1 if request.is_repeatable else None, known)
        with self._blaming(lambda: catalog.read):
            answer = self._pool.run(
                run_query,
                job,
                on_ask=catalog.answer,
                cancel=noted.cancel,
                owner=_owner(caller),
                figures=noted.figures,
            )
        self._asked.remember(request.sql, catalog.asked)
        return self._response(answer, limit, request.data_format, catalog.pinned, noted)

    def export(
        self,
        caller: Caller,
        request: ExportRequest,
        *,
        on_progress: Callable[[int], None] | None = None,
        cancel: threading.Event | None = None,
        origin: Origin = BY_ITSELF,
    ) -> ExportResult:
        """Write all rows of a query to files; `on_progress` is told how many are written."""
        with self._recorder.recording(caller, origin, request.sql, cancel=cancel) as noted:
            result = self._export(caller, request, noted, on_progress or _nobody)
            noted.rows, noted.bytes = result.records, sum(file.size for file in result.files)
            return result

    def _export(
        self, caller: Caller, request: ExportRequest, noted: RunningQuery, on_progress: Callable[[int], None]
    ) -> ExportResult:
        def progress(rows: int) -> None:
            noted.rows = rows
            on_progress(rows)

        catalog = QueryCatalog(
            caller, datasets=self._datasets, chains=self._chains, past=self._past, tables=self._tables
        )
        noted.datasets = lambda: catalog.pinned
        job = ExportJob(request, self._memory_bytes)
        # Whoever exports waits for all of it, and can cancel.
        limits = WorkerLimits(memory_bytes=self._memory_bytes, time_seconds=_EXPORT_SECONDS)
        with self._blaming(lambda: catalog.read):
            return self._pool.run(
                run_export,
                job,
                limits=limits,
                on_progress=progress,
                on_ask=catalog.answer,
                cancel=noted.cancel,
                owner=_owner(caller),
                figures=noted.figures,
            )

    def tail(
        self,
        caller: Caller,
        ref: DatasetRef,
        *,
        skip: int = 0,
        limit: int | None = None,
        data_format: DataFormat = DataFormat.JSON_AOS,
        keeps_nan: bool = False,
        cancel: threading.Event | None = None,
        origin: Origin = BY_ITSELF,
    ) -> QueryResponse:
        """The newest rows but `skip`, in offset order. Reads only the slices that hold them."""
        wanted = DEFAULT_LIMIT if limit is None else limit
        with self._recorder.recording(caller, origin, None, cancel=cancel) as noted:
            shape = self._shape(skip, wanted, data_format, sort_keys=False)
            return self._tail(caller, ref, replace(shape, keeps_nan=keeps_nan), wanted, noted)

    def _tail(
        self, caller: Caller, ref: DatasetRef, shape: AnswerShape, wanted: int, noted: RunningQuery
    ) -> QueryResponse:
        entry = self._datasets.resolve(caller, ref)
        state = self._chains.state(entry.id)
        pinned = (PinnedDataset(entry.id, str(entry.alias), state.head),) if state.head is not None else ()
        noted.datasets = lambda: pinned
        last = state.next_offset - 1 - shape.skip
        first = max(0, last - shape.limit + 1)
        table = self._tables.part(entry, state, first=first, last=last)
        job = TailJob(table, first, last, replace(shape, skip=0), self._memory_bytes)
        with self._blaming(lambda: [(entry, state.head)] if state.head else []):
            answer = self._pool.run(run_tail, job, cancel=noted.cancel, owner=_owner(caller), figures=noted.figures)
        return self._response(answer, wanted, shape.data_format, pinned, noted)

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    @contextmanager
    def _blaming(self, read: Callable[[], Sequence[tuple[DatasetEntry, Multihash]]]) -> Iterator[None]:
        """Tell of a file that cannot be read whose it is, or that it went with its chain: ChainReplacedError."""
        with bad_slices_blamed(lambda: self._slices(read())), rewrites_told(self._chains, read):
            yield

    def _slices(self, read: Sequence[tuple[DatasetEntry, Multihash]]) -> Iterator[StoredSlice]:
        for entry in {entry.id: entry for entry, _ in read}.values():
            yield from self._datasets.stored_slices(entry)

    def _shape(self, skip: int, limit: int, data_format: DataFormat, *, sort_keys: bool) -> AnswerShape:
        """Whatever the limit, one row too many is enough to see that there are too many."""
        for name, number in (("skip", skip), ("limit", limit)):
            if number < 0:
                raise InvalidPageError(f"{name} must not be negative, got {number}")
        rows = min(limit, self._max_rows + 1)
        return AnswerShape(min(skip, _MAX_SKIP), rows, data_format, sort_keys, self._max_answer_bytes)

    def _response(
        self,
        answer: JobAnswer,
        limit: int,
        data_format: DataFormat,
        pinned: tuple[PinnedDataset, ...],
        noted: RunningQuery,
    ) -> QueryResponse:
        noted.rows, noted.bytes = answer.num_records, len(answer.data)
        if answer.num_records > self._max_rows:
            raise TooManyRowsError(self._max_rows)
        metrics.QUERY_ROWS.add(by=answer.num_records)
        return QueryResponse(
            data=answer.data,
            data_format=data_format,
            schema=answer.schema,
            columns=answer.columns,
            num_records=answer.num_records,
            limit=limit,
            datasets=pinned,
        )


def _owner(caller: Caller) -> str:
    """Who shares places with whom: all that are not known are one."""
    return "" if caller.account is None else str(caller.account.id)


def _nobody(_rows: int) -> None:
    """Is told."""
