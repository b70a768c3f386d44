"""A run of a grouping by windows."""

from typing import Final

import datafusion

from kamu_assets.engines.incremental.checkpoint import State
from kamu_assets.engines.incremental.shapes import Step
from kamu_assets.engines.incremental.window import WindowQuery, with_windows
from kamu_assets.engines.incremental.window_state import additions, fold, parted, picked, results
from kamu_assets.engines.incremental.work import Outcome, Work
from kamu_assets.engines.session import quoted

_WINDOWS: Final = "windows"


def run_windows(work: Work, step: Step, query: WindowQuery, state: State) -> Outcome:
    """Fold the new rows into the open windows, and put out those that the watermark closes.

    A row is late when its window was closed before its block: its time is before the watermark rounded down to a
    window.
    """
    new = work.news(work.shape.source, state)
    size = query.tumble.millis
    late = new.late(lambda before: before - before % size)
    text_views = query.leaves_texts_alone and not work.shape.before
    windows, late_rows = state.table(_WINDOWS, query.state_schema), 0
    for chunk in new.chunks():
        context = work.context()
        in_time, too_late = new.parted(context, chunk, late, text_views=text_views)
        after_epoch = all(one.oldest is not None and one.oldest >= 0 for one in chunk)
        added = additions(query, _rows(work, step, query, in_time, context, after_epoch=after_epoch))
        windows = fold(query, context, windows, added)
        if late.size:
            late_rows += _rows(work, step, query, too_late, work.context()).count()
    closed, still_open = parted(query, windows, min(work.watermarks(state)))
    output = None if work.shape.after else picked(query, closed, step.output.schema)
    if output is None:
        output = work.output(context, results(query, context, closed))
    return Outcome(context, output, {_WINDOWS: still_open}, late_rows)


def _rows(
    work: Work,
    step: Step,
    query: WindowQuery,
    rows: datafusion.DataFrame,
    context: datafusion.SessionContext,
    *,
    after_epoch: bool = False,
) -> datafusion.DataFrame:
    """What of these rows of the input reaches the windows."""
    if work.shape.before:
        work.register(context, rows)
        rows = context.table(quoted(step.source))
        context.deregister_table(quoted(step.source))
    context.register_view(quoted(step.source), with_windows(rows, query.tumble, after_epoch=after_epoch))
    return query.rows_of(context, step.query.sql)
