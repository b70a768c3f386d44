"""Pages of flows, and of what keeps datasets up to date, as somebody reads them after a long time, on PostgreSQL."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from sqlalchemy import create_engine, text

from kamu_assets.flows.history.listing import FlowFilter
from kamu_assets.flows.model import Flow, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.processes.listing import ProcessState
from kamu_assets.node import Node, open_node
from kamu_assets.settings import load_settings
from tests.bench.flows.history import DATASETS, FLOWS, LongHistory, account, make_long_history
from tests.bench.measurement import Machine, Measurement, spread
from tests.bench.subject import expect
from tests.support.postgres import fresh_database, postgres_server

LIMIT = 25.0
SIZE = 50
WARM_UPS, SAMPLES = 3, 40
MILLISECONDS = 1000

Passes = Callable[[Flow], bool]


def pages(folder: Path) -> Iterator[Measurement]:
    with (
        postgres_server() as server,
        fresh_database(server) as url,
        open_node(load_settings(folder, database={"url": url})) as node,
    ):
        history = make_long_history(node)
        _settle(url)
        yield from _flow_lists(node, history)
        yield from _process_lists(node)


def _settle(url: str) -> None:
    """What the server does by itself in the minutes after so many changes."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("VACUUM (ANALYZE)"))
    engine.dispose()


def _flow_lists(node: Node, history: LongHistory) -> Iterator[Measurement]:
    newest = sorted(history.flows, key=lambda flow: -flow.id)
    entry = history.entries[0]
    mine = {each.id for each in history.entries if each.owner == entry.owner}
    waiting, manual = {FlowState.WAITING, FlowState.RETRYING}, account(3)
    shapes: Mapping[str, tuple[FlowFilter, Passes, int]] = {
        "": (FlowFilter(), lambda _: True, 0),
        "_deep": (FlowFilter(), lambda _: True, FLOWS // 2),
        "_of_dataset": (FlowFilter(datasets=[entry.id]), lambda flow: flow.dataset_id == entry.id, 0),
        "_of_account": (FlowFilter(owner=entry.owner), lambda flow: flow.dataset_id in mine, SIZE),
        "_finished": (FlowFilter(statuses=[FlowState.FINISHED]), lambda flow: flow.outcome is not None, 0),
        "_failed": (FlowFilter(outcomes=[OutcomeKind.FAILED]), _has_failed, 0),
        "_waiting": (FlowFilter(statuses=waiting), lambda flow: flow.status in waiting, 0),
        "_by_account": (FlowFilter(initiators=[manual]), lambda flow: flow.initiator == manual, 0),
        "_by_system": (FlowFilter(initiators=[None]), lambda flow: flow.initiator is None, 0),
        "_of_type": (FlowFilter(types=[FlowType.INGEST]), lambda flow: flow.type is FlowType.INGEST, 0),
        "_of_no_such_type": (FlowFilter(types=[FlowType.RESET]), lambda _: False, 0),
    }
    for name, (wanted, passes, offset) in shapes.items():
        passing = [flow.id for flow in newest if passes(flow)]
        yield _flow_list(node, f"flow_list{name}", wanted, offset=offset, passing=passing)


def _has_failed(flow: Flow) -> bool:
    return flow.outcome is not None and flow.outcome.kind is OutcomeKind.FAILED


def _flow_list(node: Node, workload: str, wanted: FlowFilter, *, offset: int, passing: Sequence[int]) -> Measurement:
    caller = node.auth.admin_caller()
    page = node.flow_lists.page(caller, wanted, limit=SIZE, offset=offset)
    expect(workload, found=[flow.id for flow in page.flows], wanted=passing[offset : offset + SIZE])
    expect(f"total of {workload}", found=page.total, wanted=len(passing))
    return _timed(workload, lambda: node.flow_lists.page(caller, wanted, limit=SIZE, offset=offset), total=len(passing))


def _process_lists(node: Node) -> Iterator[Measurement]:
    caller = node.auth.admin_caller()
    page = node.processes.list(caller, limit=SIZE)
    expect("processes that come first", found={each.state for each in page}, wanted={ProcessState.STOPPED_AUTO})
    failing = node.processes.list(caller, states=[ProcessState.FAILING], limit=SIZE)
    expect("processes that fail", found={each.state for each in failing}, wanted={ProcessState.FAILING})
    counts = node.processes.rollup(caller)
    expect("processes", found=sum(counts.values()), wanted=DATASETS)
    expect("processes by state", found=counts[ProcessState.STOPPED_AUTO], wanted=DATASETS // 10)
    yield _timed("process_list", lambda: node.processes.list(caller, limit=SIZE), total=DATASETS)
    yield _timed(
        "process_list_failing",
        lambda: node.processes.list(caller, states=[ProcessState.FAILING], limit=SIZE),
        total=DATASETS,
    )
    yield _timed("process_rollup", lambda: node.processes.rollup(caller), total=DATASETS)


def _timed(workload: str, ask: Callable[[], object], *, total: int) -> Measurement:
    machine = Machine.now()
    for _ in range(WARM_UPS):
        ask()
    samples = [_milliseconds(ask) for _ in range(SAMPLES)]
    details = {**spread(samples), "total": total}
    return Measurement(workload, statistics.median(samples), "ms", machine, limit=LIMIT, details=details)


def _milliseconds(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return MILLISECONDS * (time.perf_counter() - began)
