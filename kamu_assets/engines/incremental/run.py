"""One run: state and news in, rows and the next state out."""

from kamu_assets.engines.incremental.blocks import NEVER
from kamu_assets.engines.incremental.checkpoint import State
from kamu_assets.engines.incremental.join_run import run_join
from kamu_assets.engines.incremental.window_run import run_windows
from kamu_assets.engines.incremental.work import Outcome, Work
from kamu_assets.odf.timestamp import Timestamp


def run(work: Work, state: State) -> Outcome:
    """Compute. Without a step that keeps state, rows stay in the order of the input."""
    step = work.shape.stateful
    if step is None:
        new, context = work.news(work.shape.source, state), work.context()
        return Outcome(context, work.output(context, new.frame(context, new.slices)), {}, 0)
    if step.join is not None:
        return run_join(work, step, step.join, state)
    if step.window is not None:
        return run_windows(work, step, step.window, state)
    raise AssertionError(step.kind)


def output_watermark(work: Work, state: State, event_time: str) -> Timestamp | None:
    """How far the output is complete (see `times`)."""
    column, step = work.shape.output.times[event_time], work.shape.stateful
    if step is None and not column.is_date:
        # Nothing is held back: the watermark passes as it is, also where it is finer than a millisecond.
        marks = work.entries[work.shape.source].explicit_watermarks
        return max((mark.event_time for mark in marks), default=None)
    tumble = step.query.tumble if step else None
    millis = column.watermark(min(work.watermarks(state)), tumble.millis if tumble else 1)
    return None if millis == NEVER else Timestamp.from_millis(millis)
