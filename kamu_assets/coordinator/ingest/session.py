"""The SQL session of one input: one partition, names as written, Arrow types as kamu stores them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from datafusion import DataFrame, RuntimeEnvBuilder, SessionConfig, SessionContext

from kamu_assets.coordinator.ingest.limits import IngestLimits


@dataclass(frozen=True, slots=True)
class Bench:
    """Where one input is worked on."""

    session: SessionContext
    limits: IngestLimits
    # A folder of our own: inputs may lie in folders of other people.
    scratch: Path


class EngineFailureError(Exception):
    """DataFusion could not go on; told apart from bugs of ours, not yet explained."""


def open_bench(limits: IngestLimits, scratch: Path) -> Bench:
    """A session that sorts beyond memory in `scratch`."""
    config = (
        SessionConfig()
        .with_target_partitions(1)
        .with_batch_size(limits.batch_rows)
        .with_information_schema(enabled=False)
        .set("datafusion.sql_parser.enable_ident_normalization", "false")
        .set("datafusion.execution.parquet.schema_force_view_types", "false")
        .set("datafusion.execution.keep_partition_by_columns", "false")
        # DataFusion 55 takes a column for constant whose smallest and largest value are one, but statistics of Parquet
        # leave NaN out: 1.5 and NaN would be read as 1.5 twice.
        .set("datafusion.execution.collect_statistics", "false")
    )
    runtime = (
        RuntimeEnvBuilder().with_disk_manager_specified(str(scratch)).with_fair_spill_pool(limits.sort_memory_bytes)
    )
    return Bench(SessionContext(config, runtime), limits, scratch)


@contextmanager
def engine_failures() -> Iterator[None]:
    """Turn whatever DataFusion throws, Rust panics included, into EngineFailureError."""
    try:
        yield
    except BaseException as error:
        # DataFusion raises bare Exceptions and ValueErrors; PyO3's PanicException is not even an Exception.
        foreign = type(error) in (Exception, ValueError) or type(error).__name__ == "PanicException"
        # Arrow's own complaints about a file are OSErrors without a number; those of the system have one.
        foreign = foreign or (isinstance(error, OSError) and error.errno is None)
        if foreign or isinstance(error, pa.ArrowException):
            raise EngineFailureError(plain_reason(error)) from error
        raise


def plain_reason(error: BaseException) -> str:
    """DataFusion's text without its nested prefixes and backtrace."""
    text = str(error).split("\n\nbacktrace", 1)[0].strip()
    for prefix in ("DataFusion error: ", "Arrow error: ", "External error: ", "Internal error: "):
        text = text.removeprefix(prefix)
    return text


def stream(frame: DataFrame) -> Iterator[pa.RecordBatch]:
    """The rows of a frame, batch by batch."""
    with engine_failures():
        batches = frame.execute_stream()
        for batch in batches:
            found = batch.to_pyarrow()
            if found.num_rows:
                yield found


def quoted(name: str) -> str:
    """An identifier as SQL takes it, whatever it contains."""
    return '"' + name.replace('"', '""') + '"'
