"""DataFusion sessions with the settings that all of ours share."""

from typing import Final

import datafusion
import pyarrow as pa

_POOL_SHARE: Final = 0.6


def session(
    catalog: str,
    *,
    memory_bytes: int,
    partitions: int | None = None,
    own_catalog: bool = False,
    spill: bool = True,
) -> datafusion.SessionContext:
    """A session whose default catalog and schema are both called `catalog`; identifiers keep their case.

    The memory pool makes sorts and aggregations spill well before the process reaches `memory_bytes`; without `spill`
    they fail there. With one of the `partitions`, the same files give the same rows in the same order.
    """
    config = (
        datafusion.SessionConfig()
        .with_default_catalog_and_schema(catalog, catalog)
        .with_create_default_catalog_and_schema(enabled=not own_catalog)
        .with_information_schema(enabled=True)
        .set("datafusion.sql_parser.enable_ident_normalization", "false")
        # DataFusion 55 lets partitions take files from each other also where it relies on the order of files:
        # `ORDER BY offset LIMIT n` over several sorted slices would give wrong rows.
        .set("datafusion.execution.enable_file_stream_work_stealing", "false")
    )
    if partitions is not None:
        config = config.with_target_partitions(partitions)
    if partitions == 1:
        # For a LIMIT, files are taken until they have enough rows: in the order in which their footers arrive.
        config = config.set("datafusion.execution.meta_fetch_concurrency", "1")
    disks = datafusion.RuntimeEnvBuilder()
    runtime = disks.with_disk_manager_os() if spill else disks.with_disk_manager_disabled()
    return datafusion.SessionContext(config, runtime.with_fair_spill_pool(int(memory_bytes * _POOL_SHARE)))


def empty_frame(context: datafusion.SessionContext, schema: pa.Schema) -> datafusion.DataFrame:
    """No rows of these columns, and no name in the catalog."""
    arrays = [pa.nulls(0, field.type) for field in schema]
    return context.read_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def quoted(name: str) -> str:
    """A name as an SQL identifier, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def between(column: str, first: int, last: int) -> datafusion.Expr:
    """`column` is one of these offsets."""
    low, high = (datafusion.lit(pa.scalar(bound, pa.int64())) for bound in (first, last))
    return datafusion.col(quoted(column)).between(low, high)
