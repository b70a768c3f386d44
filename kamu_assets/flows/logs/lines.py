"""What the log of a flow consists of: what happened to the flow, and what its runs and their engines said."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self

from kamu_assets.errors import InvalidError
from kamu_assets.odf.timestamp import Timestamp

_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,9})\.([0-9]{1,18})")


class InvalidLogCursorError(InvalidError):
    """A place in a log that none of ours was."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text[:80]!r} is no place in the log of a flow: take the one that came with the last line")


class Channel(StrEnum):
    """Who speaks: the node of the flow, its run, or the engine that computes for the run."""

    FLOW = "flow"
    RUN = "run"
    ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class LogCursor:
    """A place in the log of a flow, right behind a line."""

    event: int = 0
    # Of the run that is being told of; none before the first and between two.
    attempt: int = 0
    line: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise InvalidLogCursorError(text)
        return cls(*(int(number) for number in found.groups()))

    def __str__(self) -> str:
        return f"{self.event}.{self.attempt}.{self.line}"


START = LogCursor()


@dataclass(frozen=True, slots=True)
class RunLine:
    """What a run said, and its number in the run's own log."""

    id: int
    at: Timestamp
    level: str
    text: str
    channel: Channel = Channel.RUN


class RunLogs(Protocol):
    """The logs of runs; whoever executes flows keeps them."""

    def lines(self, run_id: str, *, after: int, limit: int) -> Sequence[RunLine]:
        """Those that follow a number, in order; none of a run that is unknown, or known no more."""

    def close(self) -> None:
        """Let go of what was opened for it."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One entry: mostly one line of text, more where a traceback or an engine's output needs them."""

    at: Timestamp
    channel: Channel
    level: str
    text: str
    cursor: LogCursor
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some lines, and where to go on reading."""

    lines: Sequence[LogLine]
    cursor: LogCursor
    # Whether there are more lines now.
    has_more: bool
    # Whether there will never be more.
    is_over: bool
