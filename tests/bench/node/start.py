"""From the request of a run to its first step, with 1,000 datasets registered or with 10,000."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from kamu_assets.odf.identity import DatasetAlias
from tests.bench.measurement import Machine, Measurement, median_of
from tests.bench.node.runs import LOOK_SECONDS, ended_run, first_of, run_ids
from tests.support.dagster_ui import RunSeen
from tests.support.running_node import RunningNode
from tests.support.waiting import wait_until

LIMIT = 0.5
WARM_UPS = 3
SAMPLES = 20
UI_WARM_UPS = 1
UI_SAMPLES = 10


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds since the request."""

    answered: float
    created: float
    run_start: float
    step: float


def run_start(running: RunningNode, *, first: int = 0, after: str = "_with_1000") -> Measurement:
    """Requests as the command line makes them, each of another dataset; roots and derivatives in turn."""
    for number in range(first, first + WARM_UPS):
        requested_start(running, number)
    machine = Machine.now()
    starts = [requested_start(running, first + WARM_UPS + number) for number in range(SAMPLES)]
    return median_of(
        f"run_start{after}",
        [start.step for start in starts],
        machine=machine,
        limit=LIMIT,
        stages=_stages(starts),
    )


def ui_run_start(running: RunningNode) -> Iterator[Measurement]:
    """The same by the Materialize button of Dagster's UI."""
    first = WARM_UPS + SAMPLES
    for number in range(UI_WARM_UPS):
        _press(running, first + number)
    machine = Machine.now()
    starts = [_press(running, first + UI_WARM_UPS + number) for number in range(UI_SAMPLES)]
    steps, answers = [start.step for start in starts], [start.answered for start in starts]
    yield median_of("ui_materialize_to_step_with_1000", steps, machine=machine, stages=_stages(starts))
    yield median_of("ui_materialize_answer_with_1000", answers, machine=machine)


def requested_start(running: RunningNode, number: int) -> Start:
    with running.opened() as node:
        admin = node.auth.admin_caller()
        dataset = node.datasets.resolve(admin, DatasetAlias.parse(f"kamu/{_name(number)}")).id
        known = run_ids(running, dataset)
        began = time.time()
        node.flows.request_run(admin, dataset)
        answered = time.time() - began
    return _start(running, ended_run(running, dataset, known=known), began, answered)


def _press(running: RunningNode, number: int) -> Start:
    began = time.time()
    run_id = running.ui.materialize(("kamu", _name(number)))
    answered = time.time() - began
    return _start(running, wait_until(lambda: _ended(running, run_id), every=LOOK_SECONDS), began, answered)


def _ended(running: RunningNode, run_id: str) -> RunSeen | None:
    run = running.ui.run(run_id)
    return run if run is not None and run.has_ended else None


def _start(running: RunningNode, run: RunSeen, began: float, answered: float) -> Start:
    assert run.status == "SUCCESS", run
    events = running.ui.events(run.id)
    return Start(
        answered=answered,
        created=min(event.at for event in events) - began,
        run_start=first_of(events, "RUN_START").at - began,
        step=first_of(events, "STEP_START").at - began,
    )


def _stages(starts: Sequence[Start]) -> dict[str, float]:
    return {
        "answered": median(start.answered for start in starts),
        "first_event": median(start.created for start in starts),
        "run_start": median(start.run_start for start in starts),
        "step_start": median(start.step for start in starts),
    }


def _name(number: int) -> str:
    return f"{'derived' if number % 2 else 'root'}{number:04d}"
