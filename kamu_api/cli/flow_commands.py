"""What happens by itself: triggers."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kamu_api.cli.options import AsJson, Dataset, Home, local_node
from kamu_api.cli.output import print_json, print_rows, remark, say, short_text, time_text
from kamu_assets.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from kamu_assets.flows.model import Flow, Trigger, TriggerRule
    from kamu_assets.node import Node

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PART = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)


def register(app: typer.Typer) -> None:
    trigger = typer.Typer(no_args_is_help=True, help="When datasets are brought up to date by themselves.")
    trigger.command("set")(set_trigger)
    trigger.command("list")(list_triggers)
    trigger.command()(pause)
    trigger.command()(resume)
    trigger.command()(remove)
    app.add_typer(trigger, name="trigger")


def set_trigger(
    dataset: Dataset,
    every: Annotated[str | None, typer.Option("--every", help="an interval: 30s, 5m, 1h, 1d12h")] = None,
    cron: Annotated[str | None, typer.Option("--cron", help="five fields, in UTC: '0 3 * * *'")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Bring a dataset up to date by a rule; replaces the rule it had."""
    from kamu_assets.odf.identity import parse_dataset_ref

    rule = _rule(every, cron)
    with local_node(home) as node:
        trigger = node.flows.set_trigger(node.auth.admin_caller(), parse_dataset_ref(dataset), rule)
        _tell(node, trigger, as_json=as_json)


def list_triggers(home: Home = None, as_json: AsJson = False) -> None:
    """List all triggers, soonest first, and how their last runs ended."""
    with local_node(home) as node:
        caller = node.auth.admin_caller()
        triggers = node.flows.triggers(caller)
        latest = node.flows.latest(caller, [trigger.dataset_id for trigger in triggers])
        rows = [{**_facts(node, each), "last": _ended(latest.get(each.dataset_id))} for each in triggers]
    if as_json:
        print_json(rows)
    elif rows:
        columns = ("dataset", "rule", "next run (UTC)", "last run (UTC)", "outcome")
        print_rows([_shown(row) for row in rows], columns=columns)
    else:
        remark("no triggers; `kamu-node trigger set <dataset> --every 1h` makes one")


def pause(dataset: Dataset, home: Home = None, as_json: AsJson = False) -> None:
    """Keep a trigger, but start nothing."""
    _set_paused(dataset, home, paused=True, as_json=as_json)


def resume(dataset: Dataset, home: Home = None, as_json: AsJson = False) -> None:
    """Go on with a paused trigger; the next time is counted from now."""
    _set_paused(dataset, home, paused=False, as_json=as_json)


def remove(dataset: Dataset, home: Home = None, as_json: AsJson = False) -> None:
    """Forget the trigger of a dataset."""
    with local_node(home) as node:
        trigger = _trigger_of(node, dataset)
        node.flows.remove_trigger(node.auth.admin_caller(), trigger.dataset_id)
        name = _facts(node, trigger)["dataset"]
    if as_json:
        print_json({"dataset": name, "result": "removed"})
    else:
        say(f"{name}: no trigger any more")


def parse_interval(text: str) -> int:
    """Seconds in `1h`, `1d12h`, `90s`."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise InvalidError(f"{text!r} is not an interval: write 30s, 5m, 1h, 1d12h")
    return sum(int(number) * _SECONDS[unit] for number, unit in parts)


def interval_text(seconds: int) -> str:
    """The shortest text that `parse_interval` reads as this."""
    parts = []
    for unit, length in sorted(_SECONDS.items(), key=lambda item: -item[1]):
        if seconds >= length:
            parts.append(f"{seconds // length}{unit}")
            seconds %= length
    return "".join(parts) or "0s"


def _rule(every: str | None, cron: str | None) -> "TriggerRule":
    from kamu_assets.flows.model import Cron, Interval

    if every is not None and cron is None:
        return Interval(parse_interval(every))
    if cron is not None and every is None:
        return Cron(cron)
    raise InvalidError("say when: --every 1h, or --cron '0 3 * * *'")


def _set_paused(dataset: str, home: Home, *, paused: bool, as_json: bool) -> None:
    with local_node(home) as node:
        old = _trigger_of(node, dataset)
        caller = node.auth.admin_caller()
        _tell(node, node.flows.set_trigger(caller, old.dataset_id, old.rule, paused=paused), as_json=as_json)


def _trigger_of(node: "Node", dataset: str) -> "Trigger":
    from kamu_assets.odf.identity import parse_dataset_ref

    caller = node.auth.admin_caller()
    entry = node.datasets.resolve(caller, parse_dataset_ref(dataset))
    found = [trigger for trigger in node.flows.triggers(caller) if trigger.dataset_id == entry.id]
    if not found:
        raise NotFoundError(f"{entry.alias} has no trigger: `kamu-node trigger set {entry.alias} --every 1h` makes one")
    return found[0]


def _facts(node: "Node", trigger: "Trigger") -> dict[str, Any]:
    from kamu_assets.flows.model import Interval

    rule = trigger.rule
    text = f"every {interval_text(rule.seconds)}" if isinstance(rule, Interval) else f"cron {rule.expression}"
    return {
        "dataset": _name(node, trigger),
        "rule": text,
        "paused": trigger.paused,
        "nextDue": None if trigger.paused else str(trigger.next_due),
    }


def _ended(flow: "Flow | None") -> dict[str, Any] | None:
    if flow is None or flow.outcome is None:
        return None
    message = flow.outcome.message
    return {"outcome": flow.outcome.kind.value, "finishedAt": str(flow.finished_at), "message": message}


def _shown(facts: dict[str, Any]) -> dict[str, Any]:
    due = "paused" if facts["paused"] else time_text(facts["nextDue"])
    shown = {"dataset": facts["dataset"], "rule": facts["rule"], "next run (UTC)": due}
    last = facts["last"]
    if last is None:
        return shown
    outcome = last["outcome"].lower().replace("_", " ")
    told = f"{outcome}: {short_text(last['message'])}" if last["message"] else outcome
    return {**shown, "last run (UTC)": time_text(last["finishedAt"]), "outcome": told}


def _name(node: "Node", trigger: "Trigger") -> str:
    try:
        return str(node.datasets.resolve(node.auth.admin_caller(), trigger.dataset_id).alias)
    except NotFoundError:
        # Deleted a moment ago.
        return str(trigger.dataset_id)


def _tell(node: "Node", trigger: "Trigger", *, as_json: bool) -> None:
    facts = _facts(node, trigger)
    if as_json:
        print_json(facts)
    else:
        say(
            f"{facts['dataset']}: {facts['rule']}, "
            + ("paused" if trigger.paused else f"next {time_text(facts['nextDue'])} UTC")
        )
