"""Who else is told of changes: subscriptions of web servers, and deliveries to them."""

from functools import cache, partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kamu_api.cli.completing import dataset_names
from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Home, local_node, the_dataset
from kamu_api.cli.output import print_json, print_rows, remark, say
from kamu_api.cli.webhooks.finding import found_webhook
from kamu_api.cli.webhooks.receiving import RECEIVING
from kamu_api.cli.webhooks.text import (
    dataset_name,
    delivery_facts,
    delivery_row,
    subscription_facts,
    subscription_lines,
    subscription_row,
    subscription_sentence,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kamu_assets.auth.model import Caller
    from kamu_assets.node import Node
    from kamu_assets.webhooks.model import Subscription
    from kamu_assets.webhooks.service import NewSecret, Webhooks

_DEFAULT_EVENT = "DATASET.REF.UPDATED"
_Webhook = Annotated[
    str,
    typer.Argument(
        metavar="WEBHOOK", help="an id that `webhook list` shows, or a label only one has", show_default=False
    ),
]
_Url = Annotated[str, typer.Argument(metavar="URL", help="https://… that is told", show_default=False)]
_About = Annotated[
    str | None, typer.Option("--dataset", help="whose changes it is told of", autocompletion=dataset_names)
]


def register(app: typer.Typer) -> None:
    webhook = typer.Typer(no_args_is_help=True, help="Web servers that are told of changes.")
    webhook.command("list")(list_webhooks)
    webhook.command()(show)
    webhook.command()(create)
    webhook.command()(update)
    webhook.command()(pause)
    webhook.command()(resume)
    webhook.command()(reactivate)
    webhook.command("rotate-secret")(rotate_secret)
    webhook.command()(remove)
    webhook.command("test")(send_test)
    webhook.command()(deliveries)
    webhook.command()(receiving)
    app.add_typer(webhook, name="webhook")


def list_webhooks(dataset: _About = None, home: Home = None, as_json: AsJson = False) -> None:
    """List who is told of changes."""
    with local_node(home) as node:
        about = None if dataset is None else the_dataset(node, dataset).id
        found = node.webhooks.service.list(node.auth.admin_caller(), about)
        rows = [subscription_facts(node, each) for each in found]
    if as_json:
        print_json(rows)
    elif rows:
        print_rows([subscription_row(row) for row in rows])
    else:
        remark("nobody; `kamu-node webhook create https://… --dataset <dataset>` subscribes a web server")


def show(webhook: _Webhook, home: Home = None, as_json: AsJson = False) -> None:
    """Show one subscription, and how its last delivery went."""
    with local_node(home) as node:
        found = found_webhook(node, webhook)
        facts = subscription_facts(node, found)
        last = node.webhooks.service.deliveries(node.auth.admin_caller(), found.id, limit=1)
        told = [delivery_facts(each, dataset=dataset_name(node, each.dataset_id)) for each in last]
    facts["lastDelivery"] = next(iter(told), None)
    if as_json:
        print_json(facts)
        return
    for name, text in subscription_lines(facts):
        say(f"{name:10}{text}")


def create(  # noqa: PLR0917 - typer's
    url: _Url,
    dataset: _About = None,
    all_datasets: Annotated[bool, typer.Option("--all-datasets", help="told of the changes of each dataset")] = False,
    label: Annotated[str, typer.Option("--label", help="a name for it, unique for the dataset")] = "",
    event: Annotated[
        list[str] | None, typer.Option("--event", help=f"{_DEFAULT_EVENT}, which is all there is yet")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Tell a web server of changes from now on; shows the secret that signs what it is told, this once."""
    from kamu_assets.webhooks.model import SubscriptionInput

    if (dataset is None) != all_datasets:
        raise MisuseError("say of what: --dataset NAME, or --all-datasets")
    with local_node(home) as node:
        about = None if dataset is None else the_dataset(node, dataset).id
        wanted = SubscriptionInput(target_url=url, event_types=tuple(event or (_DEFAULT_EVENT,)), label=label)
        _tell_secret(node, node.webhooks.service.create(node.auth.admin_caller(), about, wanted), as_json=as_json)


def update(  # noqa: PLR0917 - typer's
    webhook: _Webhook,
    url: Annotated[str | None, typer.Option("--url", help="where it is now")] = None,
    label: Annotated[str | None, typer.Option("--label", help="what it is called now")] = None,
    event: Annotated[list[str] | None, typer.Option("--event", help="what it is told now")] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Change where it is, its label or what it is told; the secret stays."""
    from kamu_assets.webhooks.model import SubscriptionInput

    if url is None and label is None and event is None:
        raise MisuseError("say what is new: --url, --label or --event")
    with local_node(home) as node:
        old = found_webhook(node, webhook)
        wanted = SubscriptionInput(
            target_url=old.target_url if url is None else url,
            event_types=tuple(old.event_types if event is None else event),
            label=old.label if label is None else label,
        )
        changed = node.webhooks.service.update(node.auth.admin_caller(), old.id, wanted)
        _tell(node, changed, as_json=as_json)


def pause(webhook: _Webhook, home: Home = None, as_json: AsJson = False) -> None:
    """Tell it nothing until it is resumed."""
    _change(webhook, home, lambda service: service.pause, as_json=as_json)


def resume(webhook: _Webhook, home: Home = None, as_json: AsJson = False) -> None:
    """Go on with a paused one; what it missed is one delivery for each dataset."""
    _change(webhook, home, lambda service: service.resume, as_json=as_json)


def reactivate(webhook: _Webhook, home: Home = None, as_json: AsJson = False) -> None:
    """Go on with one that the node gave up; what it missed is one delivery for each dataset."""
    _change(webhook, home, lambda service: service.reactivate, as_json=as_json)


def rotate_secret(webhook: _Webhook, home: Home = None, as_json: AsJson = False) -> None:
    """Make a new secret and show it, this once; the old one signs nothing any more."""
    with local_node(home) as node:
        made = node.webhooks.service.rotate_secret(node.auth.admin_caller(), found_webhook(node, webhook).id)
        _tell_secret(node, made, as_json=as_json)


def remove(webhook: _Webhook, home: Home = None, as_json: AsJson = False) -> None:
    """Tell it nothing any more."""
    with local_node(home) as node:
        found = found_webhook(node, webhook)
        node.webhooks.service.remove(node.auth.admin_caller(), found.id)
    if as_json:
        print_json({"id": found.id, "result": "removed"})
    else:
        say(f"{found.id}: removed")


def send_test(webhook: _Webhook, home: Home = None, as_json: AsJson = False) -> None:
    """Send a TEST to it now; exit code 1 if it did not get there. It counts for nothing."""
    with local_node(home) as node:
        sent = node.webhooks.service.test(node.auth.admin_caller(), found_webhook(node, webhook).id)
        done = delivery_facts(sent, dataset=dataset_name(node, sent.dataset_id))
    if as_json:
        print_json(done)
    else:
        say(f"{done['state'].lower()}: {done['message'] or 'The target answered ' + str(done['responseStatus'])}")
    if done["state"] != "DELIVERED":
        raise typer.Exit(1)


def deliveries(
    webhook: _Webhook,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="most deliveries to show")] = 20,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List what it was told, newest first."""
    with local_node(home) as node:
        caller, id_ = node.auth.admin_caller(), found_webhook(node, webhook).id
        following = node.webhooks.service.next_attempt(caller, id_)
        found = node.webhooks.service.deliveries(caller, id_, limit=limit)
        names = cache(partial(dataset_name, node))
        rows = [delivery_facts(each, dataset=names(each.dataset_id), next_attempt=following) for each in found]
    if as_json:
        print_json(rows)
    elif rows:
        print_rows([delivery_row(row) for row in rows])
    else:
        remark("nothing yet")


def receiving() -> None:
    """Tell whoever writes a receiver what it gets and how to check that it is from here."""
    say(RECEIVING)


def _change(
    webhook: str,
    home: "Path | None",
    how: "Callable[[Webhooks], Callable[[Caller, str], Subscription]]",
    *,
    as_json: bool,
) -> None:
    with local_node(home) as node:
        changed = how(node.webhooks.service)(node.auth.admin_caller(), found_webhook(node, webhook).id)
        _tell(node, changed, as_json=as_json)


def _tell(node: "Node", subscription: "Subscription", *, as_json: bool) -> None:
    facts = subscription_facts(node, subscription)
    if as_json:
        print_json(facts)
    else:
        say(subscription_sentence(facts))


def _tell_secret(node: "Node", made: "NewSecret", *, as_json: bool) -> None:
    facts: dict[str, Any] = {**subscription_facts(node, made.subscription), "secret": made.secret.get_secret_value()}
    if as_json:
        print_json(facts)
        return
    say(subscription_sentence(facts))
    say(f"secret: {facts['secret']}")
    remark("it is shown this once; receivers check signatures with it, as `kamu-node webhook receiving` tells")
