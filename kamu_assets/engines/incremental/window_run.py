"""A run of a grouping by windows."""

from typing import Final

import datafusion

from kamu_assets.engines.incremental.checkpoint import State
from kamu_assets.engines.incremental.rewrite import Tumble
from kamu_assets.engines.incremental.shapes import Step
from kamu_assets.engines.incremental.window import WindowQuery, with_windows
from kamu_assets.engines.incremental.work import Outcome, Work
from kamu_assets.engines.session import quoted

_WINDOWS: Final = "windows"


def run_windows(work: Work, step: Step, tumble: Tumble, state: State) -> Outcome:
    """Fold the new rows into the open windows, and put out those that the watermark closes.

    A row is late when its window was closed before its block: its time is before the watermark rounded down to a
    window.
    """
    new = work.news(work.shape.source, state)
    late = new.late(lambda before: before - before % tumble.millis)
    query = _query(work, step, tumble, new.frame(context := work.context(), []), context)
    windows, late_rows = state.table(_WINDOWS, query.state_schema), 0
    for chunk in new.chunks():
        inner = work.context()
        in_time, too_late = new.parted(inner, chunk, late)
        windows = query.fold(work.context(), windows, _query(work, step, tumble, in_time, inner).rows())
        if late.size:
            late_rows += _query(work, step, tumble, too_late, work.context()).count()
    closed, still_open = query.parted(windows, min(work.watermarks(state)))
    output = work.output(context, query.finish(context, closed))
    return Outcome(context, output, {_WINDOWS: still_open}, late_rows)


def _query(
    work: Work, step: Step, tumble: Tumble, rows: datafusion.DataFrame, context: datafusion.SessionContext
) -> WindowQuery:
    """The query over these rows."""
    work.register(context, rows)
    extended = with_windows(context, step.source, tumble)
    context.deregister_table(quoted(step.source))
    context.register_view(quoted(step.source), extended)
    return WindowQuery.planned(context, step.query.sql, tumble)
