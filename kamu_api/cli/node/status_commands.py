"""How the node is."""

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import typer

from kamu_api.cli.options import AsJson, Home
from kamu_api.cli.output import print_json, print_rows, say, short_text, size_text, time_text

if TYPE_CHECKING:
    from kamu_api.cli.node.status_model import LeaderStatus, NodeStatus, WorkStatus


def register(app: typer.Typer) -> None:
    app.command()(status)


def status(home: Home = None, as_json: AsJson = False) -> None:
    """Say how the node is: processes, ports, work, disks. Exit code 1 if it does not run or is not ready."""
    from kamu_api.cli.node.status_probes import status_of
    from kamu_assets.settings import load_settings

    found = status_of(load_settings(home))
    if as_json:
        print_json(_facts(found))
    else:
        _show(found)
    if not found.is_well:
        raise typer.Exit(1)


def _facts(found: "NodeStatus") -> dict[str, Any]:
    """For scripts."""
    state = {"running": found.pid is not None, "ready": found.is_well}
    return {**state, **_camel_case(asdict(found))}


def _camel_case(value: Any) -> Any:
    match value:
        case dict():
            return {_camel(key): _camel_case(each) for key, each in value.items()}
        case list() | tuple():
            return [_camel_case(each) for each in value]
        case _:
            return value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)


def _show(found: "NodeStatus") -> None:
    say(_headline(found))
    if found.processes:
        _table(
            "Processes",
            [
                {
                    "name": each.name,
                    "pid": each.pid,
                    "up": str(timedelta(seconds=round(each.uptime_seconds))),
                    "memory": size_text(each.memory_bytes),
                }
                for each in found.processes
            ],
        )
    _table(
        "Ports",
        [{"name": p.name, "address": p.address, "state": "open" if p.is_open else "closed"} for p in found.ports],
    )
    if found.work is None:
        say(f"\nWork: {found.no_work}")
    else:
        _show_work(found.work)
    _table(
        "Disks",
        [{"path": d.path, "free": size_text(d.free_bytes), "of": size_text(d.total_bytes)} for d in found.disks],
    )
    say("\nVersions: " + ", ".join(f"{name} {text}" for name, text in found.versions.items()))


def _headline(found: "NodeStatus") -> str:
    if found.pid is None:
        return f"The node in {found.home} does not run; `kamu-node up` starts it"
    state = "is ready" if found.reason is None else f"runs, but is not ready: {found.reason}"
    return f"The node in {found.home} {state} (process {found.pid})"


def _show_work(work: "WorkStatus") -> None:
    say(
        f"\nWork: {work.datasets} dataset(s); flows: {work.waiting} waiting, {work.running} running, "
        f"{work.failed} failed in 24 h"
    )
    for each in work.failures:
        say(f"  {time_text(each.finished_at)} {each.dataset}: {short_text(each.message)}")
    for hook in work.stopped_webhooks:
        say(
            f"  webhook {hook.name} of {hook.dataset or 'all datasets'} was given up after {hook.failures} failure(s): "
            f"`kamu-node webhook reactivate {hook.id}` tries again"
        )
    if work.leader is not None:
        say(f"\nScheduler: {_leader(work.leader)}")
    if work.transport.fault is not None:
        say(f"\nOutbox: read from the database only, since {short_text(work.transport.fault)}")
    if work.consumers:
        _table(
            "Outbox",
            [
                {"consumer": c.name, "pending": c.pending, "failures": c.failures, "error": short_text(c.error or "")}
                for c in work.consumers
            ],
        )


def _leader(leader: "LeaderStatus") -> str:
    told = f"{leader.process} (since {time_text(leader.since)}, term {leader.term})"
    return f"{told} leads" if leader.leads else f"none leads; the last was {told}"


def _table(title: str, rows: list[dict[str, Any]]) -> None:
    say(f"\n{title}")
    print_rows(rows)
