"""How what happens to datasets is done: what is tried again that failed."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kamu_api.cli.flows.compaction_options import MaxSliceRecords, MaxSliceSize, compaction_arguments
from kamu_api.cli.flows.ingest_options import NextIteration, ingest_arguments
from kamu_api.cli.flows.several import done_to
from kamu_api.cli.flows.text import arguments_facts
from kamu_api.cli.flows.trigger_commands import trigger_type
from kamu_api.cli.flows.trigger_text import parse_interval
from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Home, Matching, local_node
from kamu_api.cli.output import print_json, print_rows, remark, say

if TYPE_CHECKING:
    from kamu_assets.datasets.model import DatasetEntry
    from kamu_assets.flows.retrying import FlowConfig, RetryPolicy

_BACKOFFS = ("fixed", "linear", "exponential", "exponential-with-jitter")


def register(app: typer.Typer) -> None:
    config = typer.Typer(no_args_is_help=True, help="How flows are done: retries, order, sizes.")
    config.command("set")(set_config)
    config.command("list")(list_configs)
    config.command()(remove)
    app.add_typer(config, name="flow-config")


def set_config(
    dataset: Matching,
    *,
    retries: Annotated[
        int,
        typer.Option(
            "--retries",
            help="attempts after the first, for failures that may pass; 0: what "
            "flow_agent.default_retry_policies of the settings says",
        ),
    ] = 0,
    delay: Annotated[str, typer.Option("--delay", help="before the first of them: 30s, 5m")] = "30s",
    backoff: Annotated[
        str, typer.Option("--backoff", help="fixed, linear, exponential or exponential-with-jitter")
    ] = "fixed",
    priority: Annotated[
        int, typer.Option("--priority", help="before (100) or behind (-100) what has the same cause: -1000 to 1000")
    ] = 0,
    fetch_uncacheable: Annotated[
        bool, typer.Option("--fetch-uncacheable", help="poll sources again that cannot tell whether they changed")
    ] = False,
    fetch_next_iteration: NextIteration = None,
    max_slice_size: MaxSliceSize = None,
    max_slice_records: MaxSliceRecords = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say how runs are done: tried again, put forward or back, what they take; holds for what is planned after it.

    Replaces what was set before. With --max-slice-size or --max-slice-records all of it is said of compactions.
    """
    from kamu_assets.flows.priorities import InvalidPriorityError, check_priority
    from kamu_assets.flows.retrying import FlowConfig

    ingest = ingest_arguments(fetch_uncacheable=fetch_uncacheable, fetch_next_iteration=fetch_next_iteration)
    compaction = compaction_arguments(max_slice_size, max_slice_records)
    policy = _policy(retries, delay, backoff)
    if not (retries or priority or ingest or compaction):
        raise MisuseError("say what: --retries 3, --priority 100, --fetch-uncacheable (--delay goes with --retries)")
    try:
        check_priority(priority)
    except InvalidPriorityError as error:
        raise MisuseError(str(error)) from error
    config = FlowConfig(policy if retries else None, priority, ingest, compaction)
    with local_node(home) as node:
        caller = node.auth.admin_caller()

        def configured(entry: "DatasetEntry") -> dict[str, Any]:
            node.flow_configs.set(caller, entry.id, config)
            return _facts(str(entry.alias), config)

        rows = done_to(node.datasets.select(caller, [dataset]), configured)
    if as_json:
        print_json(rows if "%" in dataset else rows[0])
        return
    for row in rows:
        say(f"{row['dataset']}: {_text(row)}, priority {row['priority']:+}{_more_text(row)}")


def list_configs(home: Home = None, as_json: AsJson = False) -> None:
    """List what is set; other datasets have `flow_agent.default_retry_policies` of the settings."""
    with local_node(home) as node:
        caller = node.auth.admin_caller()
        names = {str(entry.id): str(entry.alias) for entry in node.datasets.list(caller)}
        found = node.flow_configs.all(caller)
        rows = [
            {**_facts(names.get(str(binding.scope), str(binding.scope)), each), "type": binding.type.value}
            for binding, each in found.items()
        ]
    if as_json:
        print_json(rows)
    elif rows:
        print_rows([_row(row) for row in rows])
    else:
        remark("nothing is set; `kamu-node flow-config set <dataset> --retries 3` does")


def remove(
    dataset: Matching,
    compaction: Annotated[bool, typer.Option("--compaction", help="what is set for compactions")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Go back to what the settings say."""
    with local_node(home) as node:
        caller = node.auth.admin_caller()
        type_ = trigger_type(compaction=compaction)
        removed = {
            str(entry.alias): node.flow_configs.remove(caller, entry.id, type_=type_)
            for entry in node.datasets.select(caller, [dataset])
        }
    rows = [{"dataset": name, "result": "removed" if was_set else "none was set"} for name, was_set in removed.items()]
    if as_json:
        print_json(rows if "%" in dataset else rows[0])
        return
    for row in rows:
        say(f"{row['dataset']}: {row['result']}")


def _policy(retries: int, delay: str, backoff: str) -> "RetryPolicy":
    from kamu_assets.flows.retrying import Backoff, InvalidRetryPolicyError, RetryPolicy, check_policy

    if backoff not in _BACKOFFS:
        raise MisuseError(f"--backoff is one of {', '.join(_BACKOFFS)}, not {backoff!r}")
    policy = RetryPolicy(retries, parse_interval(delay), Backoff(backoff.upper().replace("-", "_")))
    try:
        check_policy(policy)
    except InvalidRetryPolicyError as error:
        raise MisuseError(str(error)) from error
    return policy


def _facts(dataset: str, config: "FlowConfig") -> dict[str, Any]:
    retry = config.retry
    policy = retry and {
        "maxAttempts": retry.max_attempts,
        "minDelaySeconds": retry.min_delay_seconds,
        "backoffType": retry.backoff.value,
    }
    return {"dataset": dataset, "retryPolicy": policy, "priority": config.priority, **(arguments_facts(config) or {})}


def _row(facts: dict[str, Any]) -> dict[str, Any]:
    row = {"dataset": facts["dataset"], "type": facts["type"].lower().replace("_", " ")}
    return {**row, "retries": _text(facts), "priority": facts["priority"], "more": _more_text(facts).lstrip(", ")}


def _more_text(facts: dict[str, Any]) -> str:
    told = []
    if facts.get("fetchUncacheable"):
        told.append("fetches what is uncacheable")
    if (next_one := facts.get("fetchNextIteration")) is not None:
        told.append("one slice per run, the next at once" if next_one else "one slice per run")
    if "maxSliceSize" in facts:
        told.append(f"slices of at most {facts['maxSliceSize']} bytes and {facts['maxSliceRecords']} rows")
    return "".join(f", {each}" for each in told)


def _text(facts: dict[str, Any]) -> str:
    from kamu_assets.flows.triggers.text import interval_text

    policy = facts["retryPolicy"]
    if policy is None:
        return "no retries of its own"
    backoff = policy["backoffType"].lower().replace("_", " ")
    return (
        f"{policy['maxAttempts']} retries, the first after {interval_text(int(policy['minDelaySeconds']))}, {backoff}"
    )
