"""Preprocessing by engines that are not part of ingestion: rows go to them as a file, and come back as one.

As upstream: `datafusion` runs within ingestion, others get a raw query (ODF: Engine contract, ExecuteRawQuery).
"""

from dataclasses import replace
from pathlib import Path
from typing import Final

from kamu_assets.coordinator.ingest.errors import BadSqlError, SqlRuntimeError, UnknownEngineError
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.slice_request import RowsRequest, SliceInput
from kamu_assets.coordinator.ingest.worker_jobs import write_rows
from kamu_assets.engines import registry
from kamu_assets.engines.engine import Engine, InternalError, InvalidQuery, RawQueryRequest, RawQuerySuccess
from kamu_assets.engines.workers.job_runner import JobRunner
from kamu_assets.engines.workers.limits import NoSpaceError
from kamu_assets.odf.engine import SqlQueryStep, TransformSql, normalize_transform
from kamu_assets.odf.source import ReadStepParquet
from kamu_assets.storage.errors import StorageFullError

OWN_ENGINE: Final = "datafusion"
# What comes back has been preprocessed: nothing more is to be done to it, not even by default.
_AS_IT_IS: Final = TransformSql(engine=OWN_ENGINE, queries=(SqlQueryStep(query="SELECT * FROM input"),))


class EnginePreprocess:
    """Has preprocess queries run that name another engine."""

    def __init__(self, engines: registry.EngineRegistry, pool: JobRunner, limits: IngestLimits) -> None:
        self._engines = engines
        self._pool = pool
        self._limits = limits

    def apply(self, one: SliceInput, folder: Path) -> SliceInput:
        """The input with its preprocessing done as far as that is the matter of another engine."""
        transform = one.preprocess
        if transform is None or transform.engine == OWN_ENGINE:
            return one
        engine = self._engine(transform.engine)
        folder.mkdir()
        rows, made = folder / "rows", folder / "preprocessed"
        if not self._pool.run(write_rows, RowsRequest(one, rows, self._limits)):
            return replace(one, preprocess=_AS_IT_IS)
        _query(engine, RawQueryRequest((str(rows),), normalize_transform(transform), made), name=one.name)
        rows.unlink()
        return replace(one, content=made, read=ReadStepParquet(), preprocess=_AS_IT_IS, checks_header=False)

    def _engine(self, name: str) -> Engine:
        try:
            return self._engines.get(name)
        except registry.UnknownEngineError as error:
            raise UnknownEngineError(f"preprocess: {error}") from error


def _query(engine: Engine, request: RawQueryRequest, *, name: str) -> None:
    try:
        answer = engine.raw_query(request)
    except NoSpaceError as error:
        raise StorageFullError(request.output_data_path.parent) from error
    match answer:
        case RawQuerySuccess():
            return
        case InvalidQuery():
            raise BadSqlError(f"{name}: preprocess query: {answer.message}")
        case InternalError():
            raise SqlRuntimeError(f"{name}: preprocess query: {answer.message}")
