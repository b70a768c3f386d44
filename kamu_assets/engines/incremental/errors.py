"""What this engine says when it cannot go on."""

import pyarrow as pa

from kamu_assets.engines.sql.errors import InvalidQueryError


class UnsupportedConstructError(InvalidQueryError):
    """Correct SQL perhaps, but none that can be computed exactly from state and news."""

    def __init__(self, found: str) -> None:
        super().__init__(f"{found} is not supported by this engine: `kamu-node engine --help` tells what is")
        self.found = found


class EdgeOfTimeError(InvalidQueryError):
    """An event time so close to an end of the calendar of timestamps that its window crosses it."""

    def __init__(self, *, window_millis: int) -> None:
        super().__init__(
            f"an event time is less than a window ({window_millis} ms) away from the first or last millisecond that a "
            "timestamp can hold, so its window cannot be told; leave such rows out with WHERE"
        )


class MeanTooLargeError(InvalidQueryError):
    """A mean of decimals gets four more digits after the point, and has no room for those before it."""

    def __init__(self, name: str, of: pa.DataType) -> None:
        super().__init__(f"{name} is a number too large for {of}; cast what it is the mean of to fewer decimal places")


class CheckpointError(Exception):
    """The previous checkpoint is not the state of this query. Not the author's fault: an internal error."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the previous checkpoint {reason}; reset the dataset to compute it anew")
        self.reason = reason
