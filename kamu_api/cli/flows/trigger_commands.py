"""What happens by itself: triggers."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kamu_api.cli.flows.several import done_to
from kamu_api.cli.flows.trigger_text import (
    does_text,
    due_text,
    outcome_text,
    parse_interval,
    run_facts,
    trigger_facts,
    trigger_text,
)
from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Home, Matching, local_node
from kamu_api.cli.output import print_json, print_rows, remark, say, time_text
from kamu_assets.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kamu_assets.flows.model import FlowType
    from kamu_assets.flows.triggers.rules import PlannedTrigger, TriggerRule
    from kamu_assets.node import Node


Compaction = Annotated[
    bool, typer.Option("--compaction", help="of putting its small slices together, not of bringing it up to date")
]


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
    *,
    every: Annotated[str | None, typer.Option("--every", help="an interval: 30s, 5m, 1h, 1d12h")] = None,
    cron: Annotated[str | None, typer.Option("--cron", help="five fields, in UTC: '0 3 * * *'")] = None,
    reactive: Annotated[
        bool, typer.Option("--reactive", help="when inputs change, as derivatives do that have no trigger")
    ] = False,
    min_records: Annotated[
        int, typer.Option("--min-records", help="with --reactive: when so many new records have come")
    ] = 0,
    max_interval: Annotated[
        str | None, typer.Option("--max-interval", help="or so long after the first change: 10m, at most 24h")
    ] = None,
    recover: Annotated[
        bool,
        typer.Option(
            "--recover",
            help="with --reactive: compute all rows anew when an input is reset or compacted",
        ),
    ] = False,
    stop_after: Annotated[
        int | None,
        typer.Option(
            "--stop-after",
            help="stop after so many failed flows in a row (1 to 10); default: never, but for "
            "failures that would only repeat, as of rows that cannot be read",
        ),
    ] = None,
    compaction: Compaction = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Bring a dataset up to date by a rule; replaces the rule it had."""
    rule = _reaction(min_records, max_interval, recover=recover) if reactive else _rule(every, cron)
    if reactive and (every, cron) != (None, None):
        raise MisuseError("say one of --every, --cron and --reactive")
    if not reactive and (min_records or max_interval or recover):
        raise MisuseError("--min-records, --max-interval and --recover belong to --reactive")
    if (min_records > 0) is not (max_interval is not None):
        raise MisuseError("--min-records and --max-interval go together: so many records, or so long after the first")
    _check(rule, stop_after)
    with local_node(home) as node:
        caller = node.auth.admin_caller()
        type_ = trigger_type(compaction=compaction)
        found = done_to(
            node.datasets.select(caller, [dataset]),
            lambda each: node.triggers.set(caller, each.id, rule, stop_after=stop_after, type_=type_),
        )
        _tell(node, dataset, found, as_json=as_json)


def list_triggers(home: Home = None, as_json: AsJson = False) -> None:
    """List all triggers, soonest first, and how their last runs ended."""
    with local_node(home) as node:
        caller = node.auth.admin_caller()
        triggers = node.triggers.list(caller)
        names = {entry.id: str(entry.alias) for entry in node.datasets.list(caller)}
        latest = node.flows.latest_of(caller, [each.trigger.binding for each in triggers])
        rows = [
            {
                "dataset": names.get(each.trigger.dataset_id, str(each.trigger.dataset_id)),
                **trigger_facts(each),
                "last": run_facts(latest.get(each.trigger.binding)),
            }
            for each in triggers
        ]
    if as_json:
        print_json(rows)
    elif rows:
        columns = ("dataset", "rule", "next run (UTC)", "last run (UTC)", "outcome")
        print_rows([_shown(row) for row in rows], columns=columns)
    else:
        remark("no triggers; `kamu-node trigger set <dataset> --every 1h` makes one")


def pause(dataset: Matching, compaction: Compaction = False, home: Home = None, as_json: AsJson = False) -> None:
    """Keep a trigger, but start nothing."""
    _set_paused(dataset, home, paused=True, compaction=compaction, as_json=as_json)


def resume(dataset: Matching, compaction: Compaction = False, home: Home = None, as_json: AsJson = False) -> None:
    """Go on with a trigger that was paused, or stopped by failures; the next time is counted from now."""
    _set_paused(dataset, home, paused=False, compaction=compaction, as_json=as_json)


def remove(dataset: Matching, compaction: Compaction = False, home: Home = None, as_json: AsJson = False) -> None:
    """Forget the trigger of a dataset; a derivative follows its inputs again."""
    with local_node(home) as node:
        found = _triggers_of(node, dataset, compaction=compaction)
        names = [_name(node, trigger) for trigger in found]
        for trigger in found:
            node.triggers.remove(node.auth.admin_caller(), trigger.trigger.dataset_id, type_=trigger.trigger.type)
    if as_json:
        _print_json(dataset, [{"dataset": name, "result": "removed"} for name in names])
        return
    for name in names:
        say(f"{name}: no trigger any more")


def _rule(every: str | None, cron: str | None) -> "TriggerRule":
    from kamu_assets.flows.triggers.rules import Cron, Interval

    if every is not None and cron is not None:
        raise MisuseError("say one of --every and --cron")
    if every is None and cron is None:
        raise MisuseError("say when: --every 1h, or --cron '0 3 * * *', or --reactive")
    if every is None:
        return Cron(cron or "")
    if not (seconds := parse_interval(every)):
        raise MisuseError("an interval has at least one second, not 0; write --every 1h, or --cron '0 3 * * *'")
    return Interval(seconds)


def _reaction(min_records: int, max_interval: str | None, *, recover: bool) -> "TriggerRule":
    from kamu_assets.flows.triggers.rules import BreakingChange, Reactive

    breaking_change = BreakingChange.RECOVER if recover else BreakingChange.NO_ACTION
    return Reactive(min_records, parse_interval(max_interval) if max_interval else 0, breaking_change)


def _check(rule: "TriggerRule", stop_after: int | None) -> None:
    from kamu_api.cli.failures import failure_text
    from kamu_assets.flows.errors import InvalidStopPolicyError, InvalidTriggerError
    from kamu_assets.flows.triggers.rules import Reactive
    from kamu_assets.flows.triggers.timing import check_rule, check_stop_policy

    try:
        check_rule(rule)
        check_stop_policy(stop_after)
    except (InvalidTriggerError, InvalidStopPolicyError) as error:
        timed = not isinstance(rule, Reactive) and stop_after is None
        raise MisuseError(failure_text(error) if timed else str(error)) from error


def _set_paused(dataset: str, home: Home, *, paused: bool, compaction: bool, as_json: bool) -> None:
    with local_node(home) as node:
        caller = node.auth.admin_caller()
        change = node.triggers.pause if paused else node.triggers.resume
        type_ = trigger_type(compaction=compaction)
        changed = [change(caller, entry.id, type_=type_) for entry in node.datasets.select(caller, [dataset])]
        found = [each for each in changed if each is not None]
        if not found:
            raise _no_trigger(node, dataset)
        _tell(node, dataset, found, as_json=as_json)


def trigger_type(*, compaction: bool) -> "FlowType | None":
    """Without one it is the type of flows that bring a dataset up to date."""
    from kamu_assets.flows.model import FlowType

    return FlowType.HARD_COMPACTION if compaction else None


def _triggers_of(node: "Node", dataset: str, *, compaction: bool) -> "Sequence[PlannedTrigger]":
    """Of the dataset, or of those that match a pattern and have one."""
    caller = node.auth.admin_caller()
    entries = node.datasets.select(caller, [dataset])
    triggers = {
        each.trigger.dataset_id: each
        for each in node.triggers.list(caller)
        if (each.trigger.type == "HARD_COMPACTION") is compaction
    }
    found = [triggers[entry.id] for entry in entries if entry.id in triggers]
    if not found:
        raise _no_trigger(node, dataset)
    return found


def _no_trigger(node: "Node", dataset: str) -> NotFoundError:
    name = node.datasets.select(node.auth.admin_caller(), [dataset])[0].alias
    return NotFoundError(f"{name} has no trigger: `kamu-node trigger set {name} --every 1h` makes one")


def _facts(node: "Node", trigger: "PlannedTrigger") -> dict[str, Any]:
    return {"dataset": _name(node, trigger), **trigger_facts(trigger)}


def _shown(facts: dict[str, Any]) -> dict[str, Any]:
    shown = {"dataset": facts["dataset"], "rule": does_text(facts), "next run (UTC)": due_text(facts)}
    last = facts["last"]
    if last is None:
        return shown
    return {**shown, "last run (UTC)": time_text(last["finishedAt"]), "outcome": outcome_text(last)}


def _name(node: "Node", trigger: "PlannedTrigger") -> str:
    try:
        return str(node.datasets.resolve(node.auth.admin_caller(), trigger.trigger.dataset_id).alias)
    except NotFoundError:
        # Deleted a moment ago.
        return str(trigger.trigger.dataset_id)


def _tell(node: "Node", dataset: str, triggers: "Sequence[PlannedTrigger]", *, as_json: bool) -> None:
    rows = [_facts(node, trigger) for trigger in triggers]
    if as_json:
        _print_json(dataset, rows)
        return
    for row in rows:
        say(f"{row['dataset']}: {trigger_text(row)}")


def _print_json(dataset: str, rows: "Sequence[dict[str, Any]]") -> None:
    """An object for a name, a list for a pattern."""
    print_json(rows if "%" in dataset else rows[0])
