"""What happens by itself: triggers."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kamu_api.cli.options import AsJson, Home, Matching, local_node
from kamu_api.cli.output import print_json, print_rows, remark, say, short_text, time_text
from kamu_assets.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    dataset: Matching,
    every: Annotated[str | None, typer.Option("--every", help="an interval: 30s, 5m, 1h, 1d12h")] = None,
    cron: Annotated[str | None, typer.Option("--cron", help="five fields, in UTC: '0 3 * * *'")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Bring a dataset up to date by a rule; replaces the rule it had."""
    rule = _rule(every, cron)
    with local_node(home) as node:
        caller = node.auth.admin_caller()
        found = [node.flows.set_trigger(caller, each.id, rule) for each in node.datasets.select(caller, [dataset])]
        _tell(node, dataset, found, as_json=as_json)


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


def pause(dataset: Matching, home: Home = None, as_json: AsJson = False) -> None:
    """Keep a trigger, but start nothing."""
    _set_paused(dataset, home, paused=True, as_json=as_json)


def resume(dataset: Matching, home: Home = None, as_json: AsJson = False) -> None:
    """Go on with a paused trigger; the next time is counted from now."""
    _set_paused(dataset, home, paused=False, as_json=as_json)


def remove(dataset: Matching, home: Home = None, as_json: AsJson = False) -> None:
    """Forget the trigger of a dataset."""
    with local_node(home) as node:
        found = _triggers_of(node, dataset)
        names = [_name(node, trigger) for trigger in found]
        for trigger in found:
            node.flows.remove_trigger(node.auth.admin_caller(), trigger.dataset_id)
    if as_json:
        _print_json(dataset, [{"dataset": name, "result": "removed"} for name in names])
        return
    for name in names:
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
        caller = node.auth.admin_caller()
        old = _triggers_of(node, dataset)
        new = [node.flows.set_trigger(caller, each.dataset_id, each.rule, paused=paused) for each in old]
        _tell(node, dataset, new, as_json=as_json)


def _triggers_of(node: "Node", dataset: str) -> "Sequence[Trigger]":
    """Of the dataset, or of those that match a pattern and have one."""
    caller = node.auth.admin_caller()
    entries = node.datasets.select(caller, [dataset])
    triggers = {trigger.dataset_id: trigger for trigger in node.flows.triggers(caller)}
    found = [triggers[entry.id] for entry in entries if entry.id in triggers]
    if not found:
        name = entries[0].alias
        raise NotFoundError(f"{name} has no trigger: `kamu-node trigger set {name} --every 1h` makes one")
    return found


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


def _tell(node: "Node", dataset: str, triggers: "Sequence[Trigger]", *, as_json: bool) -> None:
    rows = [_facts(node, trigger) for trigger in triggers]
    if as_json:
        _print_json(dataset, rows)
        return
    for row in rows:
        due = "paused" if row["paused"] else f"next {time_text(row['nextDue'])} UTC"
        say(f"{row['dataset']}: {row['rule']}, {due}")


def _print_json(dataset: str, rows: "Sequence[dict[str, Any]]") -> None:
    """An object for a name, a list for a pattern."""
    print_json(rows if "%" in dataset else rows[0])
