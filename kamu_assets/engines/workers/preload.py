"""What worker processes execute, loaded before they are forked; equal lists share one nursery. Names only: light."""

from typing import Final

WORKER_MODULES: Final = (
    "datafusion",
    # Loaded by pyarrow when it meets its first bare number.
    "dateutil.relativedelta",
    "pyarrow.parquet",
    "pyarrow.compute",
    "kamu_assets.engines.datafusion.engine",
    "kamu_assets.engines.raw_query",
    "kamu_assets.engines.workers.process",
    "kamu_assets.coordinator.ingest.slice_job",
    "kamu_assets.coordinator.verify.slice_reading",
    "kamu_assets.query.job",
    "kamu_assets.engines.incremental.engine",
    "kamu_assets.engines.grpc.slice_stats",
)
