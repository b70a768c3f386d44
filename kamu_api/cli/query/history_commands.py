"""What was asked of the node, by whom and at what cost; what is being asked at the moment."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Home, local_node
from kamu_api.cli.output import print_json, print_rows, remark, say

if TYPE_CHECKING:
    from kamu_assets.query.history.model import QueryState

QueryId = Annotated[str, typer.Argument(metavar="QUERY", help="its id, as `query list` shows it", show_default=False)]
_STATES = "running, ok, refused, failed, cancelled, timed-out"


def register(app: typer.Typer) -> None:
    query = typer.Typer(no_args_is_help=True, help="What was asked of the node, and is being asked.")
    query.command("list")(list_queries)
    query.command()(show)
    query.command()(cancel)
    app.add_typer(query, name="query")


def list_queries(
    *,
    running: Annotated[bool, typer.Option("--running", help="those that run right now, for a second at least")] = False,
    state: Annotated[str | None, typer.Option("--state", help=f"only these: {_STATES}")] = None,
    account: Annotated[str | None, typer.Option("--account", help="of this account only")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="so many")] = 50,
    before: Annotated[
        str | None, typer.Option("--before", help="those that came before this query: the next page")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List queries through all doors, newest first. What is not older than a second may be missing."""
    from kamu_api.cli.query.history_text import facts_of, row_of
    from kamu_assets.odf.identity import AccountName

    if running and state is not None:
        raise MisuseError("--running is a --state already")
    wanted = _state("running" if running else state)
    last = None if before is None else _id(before)
    with local_node(home) as node:
        of = None if account is None else node.auth.account(AccountName(account)).id
        found = node.query_history.list(node.auth.admin_caller(), account=of, state=wanted, before=last, limit=limit)
        rows = facts_of(found, node.auth.known_as)
    if as_json:
        print_json(rows)
    elif rows:
        print_rows([row_of(row) for row in rows])
    else:
        remark("no queries")


def show(query: QueryId, home: Home = None, as_json: AsJson = False) -> None:
    """Tell all of a query: its text, what it read, what it took, how it ended."""
    from kamu_api.cli.query.history_text import facts_of, lines_of

    id_ = _id(query)
    with local_node(home) as node:
        found = node.query_history.get(node.auth.admin_caller(), id_)
        [facts] = facts_of([found], node.auth.known_as)
    if as_json:
        print_json(facts)
        return
    for line in lines_of(facts):
        say(line)


def cancel(query: QueryId, home: Home = None, as_json: AsJson = False) -> None:
    """Stop a query that runs; whoever asked is told that it was cancelled."""
    id_ = _id(query)
    with local_node(home) as node:
        node.query_history.cancel(node.auth.admin_caller(), id_)
    if as_json:
        print_json({"id": id_, "result": "will be stopped"})
    else:
        say(f"query {id_}: will be stopped")


def _state(text: str | None) -> "QueryState | None":
    from kamu_assets.query.history.model import QueryState

    try:
        found = None if text is None else QueryState(text.upper().replace("-", "_"))
    except ValueError:
        found = QueryState.LOST
    if found is QueryState.LOST:
        raise MisuseError(f"{text!r} is no state to look for; there are {_STATES}")
    return found


def _id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise MisuseError(f"{text!r} is no id of a query, which `kamu-node query list` shows") from None
