"""How what happens to datasets by itself is going. Beside it, hidden, what runs one process of the node."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Home, local_node
from kamu_api.cli.output import print_json, print_rows, remark, short_text, time_text

if TYPE_CHECKING:
    from kamu_assets.flows.model import Flow
    from kamu_assets.flows.processes.listing import Process, ProcessState

_HIDDEN = "Run one process of the node; the supervisor and deployments call this."
_TROUBLES = ("STOPPED_AUTO", "FAILING")
_STATES = "stopped-auto, failing, unconfigured, paused-manual, active"


def register(app: typer.Typer) -> None:
    process = typer.Typer(no_args_is_help=True, help="How what happens to datasets by itself is going.")
    process.command("list")(list_processes)
    for name in ("prepare", "api"):
        process.command(name, hidden=True, help=_HIDDEN)(_runner(name))
    app.add_typer(process, name="process")


def _runner(name: str) -> Any:
    def run(home: Home = None) -> None:
        from kamu_api.cli.node.processes import run_process
        from kamu_assets.settings import load_settings

        run_process(name, load_settings(home))

    return run


def list_processes(
    state: Annotated[
        list[str] | None, typer.Option("--state", help=f"only these: {_STATES}; default: all but unconfigured")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List what keeps each dataset up to date, and who is told of it: how it goes, what is next; trouble first."""
    from kamu_assets.flows.processes.listing import ProcessState

    states = [_state(each) for each in state or ()]
    states_asked = bool(states)
    states = states or [each for each in ProcessState if each is not ProcessState.UNCONFIGURED]
    with local_node(home) as node:
        caller = node.auth.admin_caller()
        found = [*node.processes.list(caller, states=states), *node.webhooks.processes.list(caller, states=states)]
        # Trouble first, whoever has it.
        found.sort(key=lambda each: list(ProcessState).index(each.state))
        # Why a webhook is in trouble is told by its deliveries.
        troubled = [each.binding for each in found if each.state in _TROUBLES and each.binding is not None]
        latest = node.flows.latest_of(caller, troubled)
        rows = [_facts(each, latest.get(each.binding) if each.binding else None) for each in found]
        of_datasets, of_webhooks = node.processes.rollup(caller), node.webhooks.processes.rollup(caller)
        counts = {state: of_datasets[state] + of_webhooks[state] for state in ProcessState}
    if as_json:
        print_json(rows)
        return
    if rows:
        print_rows([_shown(row) for row in rows])
    elif not states_asked:
        remark("nothing is brought up to date by itself; `kamu-node trigger set <dataset> --every 1h` has it done")
    if told := ", ".join(f"{_words(each)} {count}" for each, count in counts.items() if count):
        remark(told)
    if any(row["effectiveState"] == "STOPPED_AUTO" for row in rows):
        remark(
            "`kamu-node trigger resume <dataset>` starts one again that was stopped; so does a `flow run` that succeeds"
        )


def _state(text: str) -> "ProcessState":
    from kamu_assets.flows.processes.listing import ProcessState

    try:
        return ProcessState(text.upper().replace("-", "_"))
    except ValueError:
        raise MisuseError(f"{text!r} is no state; there are {_STATES}") from None


def _facts(process: "Process", last: "Flow | None") -> dict[str, Any]:
    failed = last is not None and last.outcome is not None and last.outcome.kind == "FAILED"
    times = {
        "lastSuccessAt": process.last_success_at,
        "lastAttemptAt": process.last_attempt_at,
        "lastFailureAt": process.last_failure_at,
        "nextPlannedAt": process.next_planned_at,
        "runningSince": process.running_since,
        "pausedAt": process.paused_at,
        "autoStoppedAt": process.stopped_at,
    }
    return {
        "dataset": None if process.alias is None else str(process.alias),
        "webhook": None if process.webhook is None else {"id": process.webhook.id, "name": process.webhook.name},
        "type": process.type.value,
        "effectiveState": process.state.value,
        "consecutiveFailures": process.consecutive_failures,
        "stopAfterFailures": process.stop_after,
        "autoStoppedReason": process.stop_reason.value if process.stop_reason else None,
        "lastFailedFlow": last.id if failed and last else None,
        "lastFailure": last.outcome.message if failed and last and last.outcome else None,
        **{name: None if moment is None else str(moment) for name, moment in times.items()},
    }


def _shown(facts: dict[str, Any]) -> dict[str, Any]:
    following = time_text(facts["nextPlannedAt"]) or ("runs" if facts["runningSince"] else "")
    webhook = facts["webhook"]
    told = "" if webhook is None else f" -> {webhook['name']}"
    return {
        "dataset": (facts["dataset"] or "all datasets") + told,
        "state": _words(facts["effectiveState"]),
        "failures": facts["consecutiveFailures"],
        "last success (UTC)": time_text(facts["lastSuccessAt"]),
        "last attempt (UTC)": time_text(facts["lastAttemptAt"]),
        "next (UTC)": following,
        "why": _why(facts),
    }


def _why(facts: dict[str, Any]) -> str:
    """What it was stopped for, and what went wrong last."""
    reason = _words(facts["autoStoppedReason"] or "")
    failure = facts["lastFailure"] and f"flow {facts['lastFailedFlow']}: {short_text(facts['lastFailure'])}"
    return "; ".join(part for part in (reason, failure) if part)


def _words(state: str) -> str:
    """As `--state` takes it."""
    return state.lower().replace("_", "-")
