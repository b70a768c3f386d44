"""Pools of workers that know the jobs of these tests."""

from pathlib import Path

from kamu_assets.engines.workers.pool import WorkerLimits, WorkerPool

MIB = 1 << 20
LIMITS = WorkerLimits(memory_bytes=400 * MIB, time_seconds=60)


def a_pool(size: int = 2, **options: object) -> WorkerPool:
    return WorkerPool(
        name="query",
        size=size,
        limits=LIMITS,
        preload=("tests.unit.engines.jobs",),
        **options,  # type: ignore[arg-type]  # options are passed on as they are
    )


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
