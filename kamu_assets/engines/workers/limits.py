"""What a job in a child process may use, and the ways in which it can fail to finish."""

from dataclasses import dataclass

from kamu_assets.errors import InvalidError, UnavailableError

MIB = 1 << 20


@dataclass(frozen=True)
class WorkerLimits:
    """Budget of one job. Setting names are told to the person who meets the limit."""

    memory_bytes: int
    time_seconds: float
    result_bytes: int = 256 * MIB


class MemoryLimitError(InvalidError):
    """The job needed more memory than it may have."""

    def __init__(self, pool: str, limit_bytes: int) -> None:
        super().__init__(f"{pool} needs more than {limit_bytes // MIB} MiB of memory (setting {pool}.memory_limit)")
        self.limit_bytes = limit_bytes


class AbortedError(InvalidError):
    """A native library gave up, which it does when it is refused memory; doing the same again would end the same."""

    def __init__(self, pool: str, limit_bytes: int) -> None:
        super().__init__(
            f"{pool} was aborted, probably because it wanted far more than {limit_bytes // MIB} MiB of memory at once"
            f" (setting {pool}.memory_limit)"
        )
        self.limit_bytes = limit_bytes


class TimeLimitError(InvalidError):
    """The job took longer than it may."""

    def __init__(self, pool: str, limit_seconds: float) -> None:
        super().__init__(f"{pool} takes longer than {limit_seconds:g} s (setting {pool}.time_limit_seconds)")
        self.limit_seconds = limit_seconds


class ResultLimitError(InvalidError):
    """The job's answer is larger than the parent is willing to hold."""

    def __init__(self, pool: str, limit_bytes: int) -> None:
        super().__init__(f"{pool} gives a result of more than {limit_bytes // MIB} MiB: ask for less at a time")
        self.limit_bytes = limit_bytes


class WorkerDiedError(UnavailableError):
    """The child process went away in the middle of the job."""

    def __init__(self, pool: str, cause: str) -> None:
        super().__init__(f"{pool} worker died in the middle of a job: {cause}; try again")
        self.cause = cause


class NoSpaceError(UnavailableError):
    """The job could not write all it had to."""

    def __init__(self) -> None:
        super().__init__("no space left for what the engine writes: free some and repeat")


class DiskRefusedError(UnavailableError):
    """The disk did not do what the job needs, whatever the query was."""

    def __init__(self, place: str | None, reason: str) -> None:
        super().__init__(f"{place or 'a file of the engine'} cannot be used: {reason}")
        self.place = place
        self.reason = reason


class JobCancelledError(UnavailableError):
    """Whoever asked for the job is no longer waiting for it."""

    def __init__(self, pool: str) -> None:
        super().__init__(f"{pool} job was cancelled")


class PoolBusyError(UnavailableError):
    """All workers are busy and enough callers wait already."""

    def __init__(self, pool: str, waiting: int) -> None:
        super().__init__(f"all {pool} workers are busy and {waiting} callers wait already; try again later")
        self.waiting = waiting


class PoolClosedError(UnavailableError):
    """The node is shutting down."""

    def __init__(self, pool: str) -> None:
        super().__init__(f"{pool} workers are shut down")


class JobBugError(RuntimeError):
    """An unexpected exception of the job: a bug, hence no `KamuError`. Carries the child's traceback."""
