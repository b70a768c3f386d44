"""What was done to datasets, is being done, and will be: flows."""

from typing import Annotated

import typer

from kamu_api.cli.flows import log_commands as flow_log_commands
from kamu_api.cli.flows.list_command import list_flows
from kamu_api.cli.flows.named_flows import facts_of, told_by
from kamu_api.cli.flows.names import LENIENT
from kamu_api.cli.flows.result_text import result_text
from kamu_api.cli.flows.run_command import run
from kamu_api.cli.flows.text import about, attempt_facts, event_facts, flow_row, way_out
from kamu_api.cli.options import AsJson, Home, local_node
from kamu_api.cli.output import print_json, remark, say, time_text
from kamu_api.cli.webhooks.text import delivery_text

FlowId = Annotated[int, typer.Argument(metavar="FLOW", help="its number, as `flow list` shows it", min=1)]


def register(app: typer.Typer) -> None:
    flow = typer.Typer(no_args_is_help=True, help="What was done to datasets, is being done, and will be.")
    flow.command("list", context_settings=LENIENT)(list_flows)
    flow.command()(show)
    flow.command(context_settings=LENIENT)(run)
    flow.command()(cancel)
    flow_log_commands.register(flow)
    app.add_typer(flow, name="flow")


def show(flow: FlowId, home: Home = None, as_json: AsJson = False) -> None:
    """Tell all of a flow: why, when, its attempts, what happened."""
    from kamu_assets.flows.logs.text import event_text

    with local_node(home) as node:
        caller = node.auth.admin_caller()
        found = node.flows.get(caller, flow)
        facts = facts_of(node, found)
        if told := told_by(node, found):
            facts["deliveries"] = told
        facts["attempts"] = [attempt_facts(each) for each in node.flows.attempts(caller, flow)]
        events = node.flows.events(caller, flow)
        facts["history"] = [event_facts(each) for each in events]
    if as_json:
        print_json(facts)
        return
    row, several = flow_row(facts), len(facts["attempts"]) > 1
    for name in ("flow", "dataset", "type", "status", "outcome"):
        if row[name]:
            say(f"{name:10}{row[name]}")
    if facts["result"]:
        say(f"{'result':10}{result_text(facts['result'])}")
    if hint := way_out(facts):
        say(f"{'hint':10}{hint}")
    for attempt in facts["attempts"]:
        achieved = f"; {result_text(attempt['result'])}" if attempt["result"] and several else ""
        say(f"attempt {attempt['number']}: run {attempt['runId']}{achieved}")
    for delivery in facts.get("deliveries", ()):
        say(delivery_text(delivery))
    for event in events:
        say(f"{time_text(str(event.at))}  {event_text(event)}")


def cancel(flow: FlowId, home: Home = None, as_json: AsJson = False) -> None:
    """Drop a flow that waits, stop one that runs; what has ended stays as it is.

    A trigger that names times is paused: it would start the next one at once.
    """
    with local_node(home) as node:
        caller = node.auth.admin_caller()
        was_over = node.flows.get(caller, flow).outcome is not None
        canceled = node.flows.cancel(caller, flow)
        facts = facts_of(node, canceled)
        held = {
            each.trigger.binding
            for each in node.triggers.list(caller)
            if each.trigger.is_timed and each.trigger.paused_at
        }
    if canceled.binding in held and not was_over:
        more = " --compaction" if canceled.type == "HARD_COMPACTION" else ""
        remark(f"its trigger is paused; `kamu-node trigger resume {facts['dataset']}{more}` goes on")
    if as_json:
        print_json(facts)
    elif canceled.cancel_requested and canceled.outcome is None:
        say(f"flow {flow} of {about(facts)}: will be stopped")
    else:
        say(f"flow {flow} of {about(facts)}: {flow_row(facts)['outcome']}")
