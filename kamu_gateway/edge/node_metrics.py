"""What a node tells Prometheus: what each process has counted, and what its database knows."""

import os
from collections.abc import Iterator, Sequence

import structlog

from kamu_assets.errors import KamuError
from kamu_assets.monitoring.exchange import collected
from kamu_assets.monitoring.families import Family, Sample, gauge, own_families, usage
from kamu_assets.monitoring.metric import PREFIX
from kamu_assets.monitoring.process_figures import all_processes, named_children
from kamu_assets.node import Node
from kamu_assets.orchestration.processes import dagster_own_commands
from kamu_assets.settings import adapter_config

log = structlog.get_logger()

# As the API server of kamu calls them.
_OUTBOX = "kamu_api_server_outbox"


def node_families(node: Node) -> list[Family]:
    """All metrics; those that cannot be had at the moment are missing."""
    families = [each.of("api") for each in own_families()]
    for process, found in collected(node.settings.run_path).items():
        families.append(gauge(f"{PREFIX}process_up", "Whether a process answers", float(found is not None)).of(process))
        families += [each.of(process) for each in found or ()]
    families += _dagster(node)
    try:
        return [*families, *_outbox(node), *_flows(node)]
    except KamuError as error:
        log.warning("metrics_incomplete", reason=str(error))
        return families


def _dagster(node: Node) -> Iterator[Family]:
    """What is used by processes that are not ours, where one supervisor has started all of them."""
    among = all_processes()
    commands = ((each.name, each.argv) for each in dagster_own_commands(adapter_config(node.settings)))
    for name, process in named_children(os.getppid(), commands, among):
        yield from (each.of(name) for each in usage(process.pid, among))


def _outbox(node: Node) -> Iterator[Family]:
    with node.database.reading() as tx:
        consumers, last = node.outbox.consumers(tx), node.outbox.last(tx)
    done = {one.name: float(one.position) for one in consumers}
    yield _of_each(f"{_OUTBOX}_messages_processed_total", "Messages a consumer is done with", done, kind="counter")
    left = {name: max(0.0, last - position) for name, position in done.items()}
    yield _of_each(f"{_OUTBOX}_messages_pending_total", "Messages a consumer has before it", left)
    failed = {one.name: float(one.attempts > 0) for one in consumers}
    yield _of_each(f"{_OUTBOX}_failed_consumers_total", "Whether a consumer waits after a failure", failed)


def _flows(node: Node) -> Sequence[Family]:
    load = node.flows.load()
    return (
        gauge(f"{PREFIX}runs_waiting", "Flows that have no run yet", load.waiting),
        gauge(f"{PREFIX}runs_running", "Flows that have a run", load.running),
    )


def _of_each(name: str, meaning: str, values: dict[str, float], *, kind: str = "gauge") -> Family:
    samples = [Sample(name, {"consumer": consumer}, value) for consumer, value in values.items()]
    # Of counters, the text format adds the end of the name.
    return Family(name.removesuffix("_total") if kind == "counter" else name, meaning, kind, samples)
