"""What can be said of a node at one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One that the supervisor keeps alive, with the workers it has started."""

    name: str
    pid: int
    uptime_seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class PortStatus:
    name: str
    address: str
    # Whether somebody listens.
    is_open: bool


@dataclass(frozen=True, slots=True)
class FailedFlow:
    dataset: str
    finished_at: str
    message: str


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    """Who follows the outbox, and how far behind it is."""

    name: str
    # The last message it is done with.
    position: int
    pending: int
    # Since the last success.
    failures: int
    error: str | None
    # When it tries again by itself; None where nothing keeps it from going on.
    next_attempt: str | None


@dataclass(frozen=True, slots=True)
class TransportStatus:
    """How messages of the outbox get from process to process."""

    name: str
    # The last message that was passed on to where consumers read it; None where that is not done or cannot be told.
    relayed: int | None
    fault: str | None


@dataclass(frozen=True, slots=True)
class StoppedWebhook:
    """A receiver that the node tells nothing any more, since deliveries failed."""

    id: str
    # Its label, or where it is.
    name: str
    # None: it was told of all.
    dataset: str | None
    failures: int


@dataclass(frozen=True, slots=True)
class LeaderStatus:
    """The scheduler that leads, or led last."""

    # Its machine, its process and when that began.
    process: str
    since: str
    # How many have led so far, each time counted.
    term: int
    # Whether it does so now.
    leads: bool


@dataclass(frozen=True, slots=True)
class DiskStatus:
    path: str
    free_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class WorkStatus:
    """What the database knows."""

    datasets: int
    waiting: int
    running: int
    # In the last 24 hours; the latest of them.
    failed: int
    failures: Sequence[FailedFlow]
    # None before a scheduler has led.
    leader: LeaderStatus | None
    transport: TransportStatus
    consumers: Sequence[ConsumerStatus]
    stopped_webhooks: Sequence[StoppedWebhook]


@dataclass(frozen=True, slots=True)
class NodeStatus:
    home: str
    # The supervisor, if the node runs.
    pid: int | None
    # Why it is not ready, if it runs and is not.
    reason: str | None
    processes: Sequence[ProcessStatus]
    ports: Sequence[PortStatus]
    # None, and why, where the database does not answer.
    work: WorkStatus | None
    no_work: str | None
    disks: Sequence[DiskStatus]
    versions: Mapping[str, str]

    @property
    def is_well(self) -> bool:
        """Whether it runs and is ready."""
        return self.pid is not None and self.reason is None
