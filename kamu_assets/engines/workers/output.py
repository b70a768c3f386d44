"""The parent's end of what a worker prints."""

import os

from kamu_assets.engines.workers.hearing import JOB_ENDED, hear

_READ_BYTES = 1 << 16
# What the last look takes: a worker that prints without end must not keep its parent.
_LAST_BYTES = 1 << 20


class WorkerOutput:
    """A pipe that is read while its worker has a job, so that the worker never waits for a reader."""

    def __init__(self) -> None:
        self._read, self.written_by_worker = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self._read, False)

    def handed_over(self) -> None:
        """The worker has its end, or there is none: the pipe shall end with it."""
        os.close(self.written_by_worker)

    def fileno(self) -> int:
        return self._read

    def pass_on(self) -> bool:
        """Hand over what is there; tells whether more may come."""
        try:
            printed = os.read(self._read, _READ_BYTES)
        except BlockingIOError:
            return True
        if printed:
            hear(printed)
        return bool(printed)

    def pass_on_rest(self) -> bool:
        """All that was printed until now, when the job has ended; tells whether more may come."""
        more = True
        for _ in range(_LAST_BYTES // _READ_BYTES):
            try:
                printed = os.read(self._read, _READ_BYTES)
            except BlockingIOError:
                break
            if not printed:
                more = False
                break
            hear(printed)
        hear(JOB_ENDED)
        return more

    def close(self) -> None:
        os.close(self._read)
