"""What areas of the node tell each other: who follows it, and who does not go on."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kamu_api.cli.options import AsJson, Home, local_node
from kamu_api.cli.output import print_json, print_rows, remark, say, short_text, time_text

if TYPE_CHECKING:
    from kamu_api.cli.node.status_model import ConsumerStatus
    from kamu_assets.node import Node

_Consumer = Annotated[
    str, typer.Argument(metavar="CONSUMER", help="a name that `outbox list` shows", show_default=False)
]


def register(app: typer.Typer) -> None:
    outbox = typer.Typer(no_args_is_help=True, help="What areas of the node tell each other, and who follows it.")
    outbox.command("list")(list_consumers)
    outbox.command()(show)
    outbox.command()(retry)
    app.add_typer(outbox, name="outbox")


def list_consumers(home: Home = None, as_json: AsJson = False) -> None:
    """List who follows the outbox: how far each is, and what keeps it from going on."""
    with local_node(home) as node:
        found = _consumers(node)
    if as_json:
        print_json([_facts(each) for each in found])
    elif found:
        print_rows([_shown(each) for each in found])
    else:
        remark("nobody follows the outbox before the node runs for the first time: `kamu-node up`")


def show(
    consumer: _Consumer,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="most messages to show")] = 10,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Show the messages that a consumer is to handle next; the first is the one it fails at, if it does."""
    with local_node(home) as node:
        with node.database.reading() as tx:
            waiting = node.outbox.waiting(tx, consumer, limit)
        state = _one(node, consumer)
    messages = [
        {"id": each.id, "topic": each.topic, "postedAt": str(each.posted_at), "body": _body(each.body)}
        for each in waiting
    ]
    if as_json:
        print_json({**_facts(state), "messages": messages})
        return
    say(_sentence(state))
    if messages:
        print_rows(
            [
                {
                    "id": each["id"],
                    "posted (UTC)": time_text(str(each["postedAt"])),
                    "topic": each["topic"],
                    "body": json.dumps(each["body"], ensure_ascii=False),
                }
                for each in messages
            ]
        )
    if state.pending > len(messages) == limit:
        remark(f"the next {limit}; --limit shows more")


def retry(consumer: _Consumer, home: Home = None, as_json: AsJson = False) -> None:
    """Let a consumer that failed try again at once, not only when its time has come."""
    with local_node(home) as node:
        before = _one(node, consumer)
        with node.database.transaction() as tx:
            node.outbox.retry(tx, consumer)
        after = _one(node, consumer)
    if as_json:
        print_json(_facts(after))
    elif before.next_attempt is None:
        say(f"{consumer} is not parked: there is nothing to try again")
    else:
        say(f"{consumer} tries again now; `kamu-node outbox list` tells how it went, if the node runs")


def _consumers(node: "Node") -> "list[ConsumerStatus]":
    from kamu_api.cli.node.status_work import consumers_of
    from kamu_assets.monitoring.secrets import SecretHider
    from kamu_assets.settings import secret_values

    return consumers_of(node, SecretHider(secret_values(node.settings)))


def _one(node: "Node", name: str) -> "ConsumerStatus":
    with node.database.reading() as tx:
        node.outbox.consumer(tx, name)
    return next(each for each in _consumers(node) if each.name == name)


def _facts(consumer: "ConsumerStatus") -> dict[str, Any]:
    facts = asdict(consumer)
    next_attempt = facts.pop("next_attempt")
    return {**facts, "nextAttempt": next_attempt}


def _shown(consumer: "ConsumerStatus") -> dict[str, Any]:
    return {
        "consumer": consumer.name,
        "pending": consumer.pending,
        "failures": consumer.failures,
        "parked until (UTC)": time_text(consumer.next_attempt),
        "error": short_text(consumer.error or ""),
    }


def _sentence(consumer: "ConsumerStatus") -> str:
    pending = f"{consumer.name} is done with message {consumer.position}, {consumer.pending} to go"
    if consumer.error is None:
        return pending
    then = f", parked until {time_text(consumer.next_attempt)} UTC" if consumer.next_attempt else ""
    return f"{pending}; {consumer.failures} failure(s){then}: {consumer.error}"


def _body(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        # Damaged: shown as it is.
        return text
