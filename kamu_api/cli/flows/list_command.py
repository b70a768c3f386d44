"""List flows, page by page."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from kamu_api.cli.flows.names import OrderName, OutcomeName, StatusName, TypeName
from kamu_api.cli.flows.text import flow_row
from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Home, local_node, the_dataset
from kamu_api.cli.output import print_json, print_rows, remark
from kamu_api.cli.webhooks.finding import found_webhook

if TYPE_CHECKING:
    from kamu_assets.flows.history.listing import FlowFilter, FlowPage
    from kamu_assets.node import Node


def list_flows(
    *,
    dataset: Annotated[str | None, typer.Argument(help="of this dataset only", show_default=False)] = None,
    types: Annotated[list[TypeName] | None, typer.Option("--type", help="of this type; repeat for several")] = None,
    webhooks: Annotated[
        list[str] | None,
        typer.Option("--webhook", metavar="WEBHOOK", help="that tell this webhook, by its id or label; repeatable"),
    ] = None,
    statuses: Annotated[list[StatusName] | None, typer.Option("--status", help="in this state; repeatable")] = None,
    outcomes: Annotated[
        list[OutcomeName] | None, typer.Option("--outcome", help="that ended like this; repeatable")
    ] = None,
    by: Annotated[list[str] | None, typer.Option("--by", help="that this account asked for; repeatable")] = None,
    by_itself: Annotated[bool, typer.Option("--by-itself", help="that nobody asked for")] = False,
    order: Annotated[
        OrderName, typer.Option("--order", help="newest first; as they wait, run and end; or the soonest first")
    ] = OrderName.NEWEST,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="so many")] = 50,
    skip: Annotated[int, typer.Option("--skip", min=0, help="begin behind so many")] = 0,
    before: Annotated[int | None, typer.Option("--before", min=1, help="those before this flow: the next page")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List flows, newest first unless --order says otherwise."""
    from kamu_api.cli.flows.named_flows import facts_of
    from kamu_assets.flows.history.listing import EVERY
    from kamu_assets.flows.history.orders import FlowOrder
    from kamu_assets.flows.model import OutcomeKind

    if before is not None and order is not OrderName.NEWEST:
        raise MisuseError("--before is for lists with the newest first; --skip is for all")

    with local_node(home) as node:
        wanted = _filter(node, dataset, types, statuses, by, by_itself=by_itself)
        if outcomes:
            wanted = replace(wanted, outcomes=[OutcomeKind[each.name] for each in outcomes])
        if webhooks:
            wanted = replace(wanted, subscriptions=[found_webhook(node, each).id for each in webhooks])
        page = node.flow_lists.page(
            node.auth.admin_caller(), wanted, order=FlowOrder[order.name], limit=limit, offset=skip, before=before
        )
        rows = [facts_of(node, flow) for flow in page.flows]
    if as_json:
        print_json(rows)
        return
    if rows:
        print_rows([flow_row(row) for row in rows])
    if not page.total and wanted != EVERY:
        remark("no flows of this kind")
        return
    _tell_more(page, limit, before, after=skip + len(page.flows) if order is not OrderName.NEWEST or skip else None)


def _filter(
    node: "Node",
    dataset: str | None,
    types: Sequence[TypeName] | None,
    statuses: Sequence[StatusName] | None,
    by: Sequence[str] | None,
    *,
    by_itself: bool,
) -> "FlowFilter":
    from kamu_assets.flows.history.listing import FlowFilter
    from kamu_assets.flows.model import FlowState
    from kamu_assets.odf.identity import AccountName

    accounts = [node.auth.account(AccountName.parse(name)).id for name in by or ()]
    nobody = [None] if by_itself else []
    return FlowFilter(
        datasets=[the_dataset(node, dataset).id] if dataset is not None else None,
        types=[each.type for each in types] if types else None,
        statuses=[FlowState[each.name] for each in statuses] if statuses else None,
        initiators=[*accounts, *nobody] or None,
    )


def _tell_more(page: "FlowPage", limit: int, before: int | None, *, after: int | None) -> None:
    if page.total == 0:
        remark("no flows; `kamu-node flow run <dataset>` makes one")
    elif after is not None:
        remark(f"{page.total:,} flows" + (f"; further ones: --skip {after}" if after < page.total else ""))
    elif len(page.flows) == limit < page.total:
        remark(f"{page.total:,} flows; further ones: --before {page.flows[-1].id}")
    elif not page.flows:
        remark(f"{page.total:,} flows, none before {before}")
