"""The order of a flow's log. Pure.

The lines of a run stand between the events that begin and end its attempt, whatever their clocks say; among the events
in between they stand by time.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from kamu_assets.flows.history.events import EventKind, FlowEvent
from kamu_assets.flows.logs.lines import Channel, LogCursor, LogLine, RunLine
from kamu_assets.flows.logs.text import event_level, event_text

# Gives the lines of an attempt's run that follow a number.
LinesOf = Callable[[int, int], Iterator[RunLine]]

_ENDS = frozenset({EventKind.ATTEMPT_QUEUED, EventKind.ATTEMPT_FINISHED, EventKind.COMPLETED, EventKind.ABORTED})


def merged(events: Iterable[FlowEvent], after: LogCursor, lines_of: LinesOf) -> Iterator[LogLine]:
    """The log behind a place, as far as it goes now: `events` are those that follow `after.event`."""
    telling = _Telling(after, lines_of)
    for event in events:
        attempt = event.what.attempt
        if event.kind is EventKind.ATTEMPT_FINISHED and attempt not in {None, telling.cursor.attempt}:
            # Told of afterwards, when all of it had happened.
            telling.begin(attempt or 0)
        yield from telling.lines(before=None if event.kind in _ENDS else event)
        if event.kind in _ENDS:
            telling.begin((attempt or 0) if event.kind is EventKind.ATTEMPT_QUEUED else 0)
        yield telling.tell(event)
    yield from telling.lines()


class _Telling:
    """How far the telling has come."""

    def __init__(self, after: LogCursor, lines_of: LinesOf) -> None:
        self.cursor = after
        self._lines_of = lines_of
        self._rest = lines_of(after.attempt, after.line)
        self._next: RunLine | None = None

    def begin(self, attempt: int) -> None:
        """Go on to the run of another attempt; 0 is none."""
        self.cursor = replace(self.cursor, attempt=attempt, line=0)
        self._rest, self._next = self._lines_of(attempt, 0), None

    def lines(self, *, before: FlowEvent | None = None) -> Iterator[LogLine]:
        """Those of the run up to an event, or all that are left."""
        while (line := self._peek()) is not None and (before is None or line.at <= before.at):
            self._next = None
            self.cursor = replace(self.cursor, line=line.id)
            yield LogLine(line.at, line.channel, line.level, line.text, self.cursor, self.cursor.attempt)

    def tell(self, event: FlowEvent) -> LogLine:
        self.cursor = replace(self.cursor, event=event.id)
        said = (event_level(event), event_text(event))
        return LogLine(event.at, Channel.FLOW, *said, self.cursor, event.what.attempt)

    def _peek(self) -> RunLine | None:
        self._next = self._next or next(self._rest, None)
        return self._next
