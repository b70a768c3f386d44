"""What a job takes."""

from dataclasses import dataclass


@dataclass(slots=True)
class JobFigures:
    """Filled in by the pool as the job goes on, whatever becomes of it."""

    # For a worker: while others had all of them, and again where it had to give way.
    waited_seconds: float = 0.0
    # The most memory that it was seen to hold; 0 if it had no worker.
    peak_bytes: int = 0
