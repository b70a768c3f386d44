"""Who alone may do something, among all processes and threads that share a database.

Roles are locks that end with their process, however it ends, so nobody waits for a time to pass. A forked child does
not have its parent's.

A process that is stopped, or hangs, keeps its locks. So whoever has a lasting role says now and then that it lives, by
what others see of its lock anyway; they take the role from it when they have looked for that in vain, each by its own
clock.
"""

import os
import re
import weakref
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

import structlog

from kamu_assets.database.silence import Silence

log = structlog.get_logger(__name__)

# Whoever has a lasting role says much more often that it lives.
SILENT_SECONDS = 10.0
# Nobody is blamed for the time in which we could not look.
_LONGEST_BETWEEN = 2.0
_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,99}")
_open: "weakref.WeakSet[Leadership]" = weakref.WeakSet()

# What is seen of somebody's lock: it changes as long as they live.
Sign = tuple[Any, ...]


class Leadership(ABC):
    """A role that one at a time has; each thread that wants it has an object of its own.

    A lasting one has to be asked every second or two whether it `holds`: that tells others that its holder lives.
    """

    def __init__(self, name: str, *, lasting: bool) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a role: lower case letters, digits and _.-, at most 100")
        self._name = name
        self._is_lasting = lasting
        self._silence = Silence(seconds=SILENT_SECONDS, longest_between=_LONGEST_BETWEEN)
        _open.add(self)

    def take(self) -> bool:
        """Have the role, unless somebody else has it; tells whether it is ours. Repeat it to know that it still is."""
        return self._try() or (self._is_lasting and self._has_deposed() and self._try())

    def _has_deposed(self) -> bool:
        """Whether we have just taken the role from somebody who said nothing for too long."""
        sign = self._sign()
        if sign is None or not self._silence.heard({self._name: sign}) or not self._depose(sign):
            return False
        log.warning("silent_holder_deposed", role=self._name, silent_seconds=self._silence.seconds)
        return True

    @abstractmethod
    def _try(self) -> bool:
        """Have the role, if nobody else has it."""

    @abstractmethod
    def _sign(self) -> Sign | None:
        """The last sign of life of whoever has the role; None if nobody has it, or nothing can be seen of it."""

    @abstractmethod
    def _depose(self, sign: Sign) -> bool:
        """Take the role from whoever has said nothing since this sign."""

    @abstractmethod
    def holds(self) -> bool:
        """Whether what was taken is ours still, without a moment in which somebody else could have had it."""

    @abstractmethod
    def resign(self) -> None:
        """Let others have it; harmless where we have it not."""

    @abstractmethod
    def is_vacant(self) -> bool:
        """Whether nobody has the role now. Only to tell people of it: a moment later somebody may."""

    @abstractmethod
    def _forked(self) -> None:
        """Leave it to the parent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.resign()


def _leave_to_parent() -> None:
    for leadership in list(_open):
        leadership._forked()  # noqa: SLF001 - our own class


os.register_at_fork(after_in_child=_leave_to_parent)
