"""`kamu-node flow log`: what a flow did, and is doing."""

import contextlib
import json
import os
import select
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kamu_api.cli.options import AsJson, Home, local_node
from kamu_api.cli.output import print_json, remark

if TYPE_CHECKING:
    from kamu_assets.flows.logs.lines import LogCursor, LogLine, LogPage
    from kamu_assets.node import Node


def register(flow: typer.Typer) -> None:
    """Into the group of commands about flows."""
    flow.command()(log)


def log(
    *,
    flow: Annotated[int, typer.Argument(metavar="FLOW", help="its number, as `flow list` shows it", min=1)],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="wait for more until the flow ends; with --json one line for each")
    ] = False,
    attempt: Annotated[int | None, typer.Option("--attempt", min=1, help="of this attempt only")] = None,
    after: Annotated[
        str | None, typer.Option("--after", metavar="CURSOR", help="what came behind a line: its cursor in --json")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print the log of a flow: what happened to it, and what its runs and their engines said; times are in UTC."""
    from kamu_assets.flows.logs.lines import START, LogCursor

    start = START if after is None else LogCursor.parse(after)
    with local_node(home) as node, contextlib.closing(_pages(node, flow, start, attempt, follow=follow)) as pages:
        if as_json and not follow:
            print_json([_facts(line) for page in pages for line in page.lines])
            return
        try:
            is_empty = not _print_all(pages, as_json=as_json)
        except BrokenPipeError:
            _let_go()
            return
    if is_empty and not as_json:
        remark(f"flow {flow} has no log" if start == START else "no more lines")


def _pages(node: "Node", flow: int, after: "LogCursor", attempt: int | None, *, follow: bool) -> "Generator[LogPage]":
    caller = node.auth.admin_caller()
    if follow:
        yield from node.flow_logs.follow(caller, flow, after=after, attempt=attempt)
        return
    has_more = True
    while has_more:
        page = node.flow_logs.page(caller, flow, after=after, attempt=attempt)
        yield page
        after, has_more = page.cursor, page.has_more


def _print_all(pages: "Generator[LogPage]", *, as_json: bool) -> bool:
    """Tells whether there was a line."""
    has_lines = False
    for page in pages:
        for line in page.lines:
            sys.stdout.write(f"{json.dumps(_facts(line)) if as_json else _text(line)}\n")
        sys.stdout.flush()
        has_lines = has_lines or bool(page.lines)
        if _nobody_reads():
            raise BrokenPipeError
    return has_lines


def _text(line: "LogLine") -> str:
    """On a terminal all of its lines stand under each other."""
    from kamu_api.cli.output import time_text

    head = f"{time_text(str(line.at))}Z  {line.channel.value:6}  "
    mark = "" if line.level in {"info", "debug"} else f"{line.level.upper()}: "
    first, *more = line.text.split("\n")
    return "\n".join([f"{head}{mark}{first}", *(" " * len(head) + each for each in more)])


def _facts(line: "LogLine") -> dict[str, Any]:
    return {
        "at": str(line.at),
        "channel": line.channel.value,
        "level": line.level,
        "attempt": line.attempt,
        "text": line.text,
        "cursor": str(line.cursor),
    }


def _nobody_reads() -> bool:
    """Whether our output is a pipe whose other end is closed: else we would wait for something to tell it."""
    poll = select.poll()
    try:
        poll.register(sys.stdout.fileno(), 0)
    except OSError:
        return False
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _let_go() -> None:
    """Nobody reads: what is still to be written goes nowhere, at exit, too."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
