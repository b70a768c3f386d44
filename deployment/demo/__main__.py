"""Start a node, feed it real data, push a few rows live, ask a question, keep it running."""

import argparse
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from rich.console import Console

from deployment.demo import data
from deployment.demo.node import DemoNode

MANIFESTS = Path(__file__).parent / "manifests"
ROOTS = ("flights", "weather", "airlines")
DERIVATIVES = ("flights.delays", "flights.late")
LIVE_ROWS = 5
QUESTION = """
select a.name as airline, count(*) as arrivals, sum(case when d.outcome = 'late' then 1 else 0 end) as an_hour_late
from "kamu/flights.delays" d join "kamu/airlines" a on d.carrier = a.carrier
group by a.name order by arrivals desc limit 5
""".strip()

console = Console(highlight=False, soft_wrap=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detach", action="store_true", help="leave the node running and return")
    detach = parser.parse_args().detach
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    node = DemoNode()
    try:
        run(node)
        detach = detach or not node.started
        if detach:
            console.print("\nThe node goes on running. [bold]make down[/] stops it.")
        else:
            console.print("\nThe node is running. [bold]Ctrl-C[/] stops it.")
            signal.pause()
    except KeyboardInterrupt:
        detach = False
    except BaseException:
        detach = False
        raise
    finally:
        if not detach:
            with console.status("stopping the node"):
                node.stop()


def run(node: DemoNode) -> None:
    with console.status("unpacking the published files"):
        source = node.home / "demo"
        data.prepare(source)
    with console.status("starting the node"):
        node.start()
    step("the node is up" if node.started else f"the node in {node.home} was up already")
    add_datasets(node, source)
    load(node, source)
    follow_live(node, source)
    ask(node)
    show_addresses(node)


def add_datasets(node: DemoNode, source: Path) -> None:
    rendered = source / "manifests"
    rendered.mkdir(exist_ok=True)
    for name in (*ROOTS, *DERIVATIVES):
        text = (MANIFESTS / f"{name}.yaml").read_text()
        (rendered / f"{name}.yaml").write_text(text.replace("__DATA__", str(source)))
        node.kamu_node("add", str(rendered / f"{name}.yaml"))
    step(f"five datasets: roots {', '.join(ROOTS)}; derivatives {' → '.join(('flights', *DERIVATIVES))}")


def load(node: DemoNode, source: Path) -> None:
    """Weather and airlines are polled on a schedule, as Dagster runs; the flights are pushed, a month at a time."""
    for name in ("weather", "airlines"):
        node.kamu_node("trigger", "set", name, "--every", "1h")
    months = sorted((source / "flights").iterdir())
    with console.status("") as status:
        for month in months:
            status.update(f"pushing {month.name}")
            node.push("flights", month.read_bytes(), "text/csv")
        status.update("the derivatives follow")
        wait_until_derived(node)
        for name in ("weather", "airlines"):
            node.wait_until(partial(has_data, node, name), f"{name} got no data")
    for name in (*ROOTS, *DERIVATIVES):
        step(f"{name:15} {node.count(name):>9,} records")


def wait_until_derived(node: DemoNode) -> None:
    late = """select count(*) as n from "kamu/flights.delays" where outcome = 'late'"""
    node.wait_until(lambda: node.count("flights.delays") == node.count("flights"), "flights.delays did not follow")
    node.wait_until(lambda: node.count("flights.late") == node.query(late)[0]["n"], "flights.late did not follow")


def has_data(node: DemoNode, name: str) -> bool:
    return node.last_offset(name) >= 0


def follow_live(node: DemoNode, source: Path) -> None:
    """Push the next rows of the year's last day and watch the derivative change."""
    header, rows = data.live_rows(source)
    pushed = source / "live.pushed"
    start = int(pushed.read_text()) if pushed.exists() else 0
    chosen = rows[start : start + LIVE_ROWS] or rows[:LIVE_ROWS]
    before = node.last_offset("flights.delays")
    begin = time.monotonic()
    node.push("flights", "\n".join([header, *chosen]).encode(), "text/csv")
    acknowledged = time.monotonic() - begin
    if start >= len(rows):
        step(f"a live push of {len(chosen)} known flights: acknowledged, nothing to do")
        return
    pushed.write_text(str(start + len(chosen)))
    while node.last_offset("flights.delays") == before:
        time.sleep(0.02)
    followed = time.monotonic() - begin
    step(
        f"a live push of {len(chosen)} flights: durable in {acknowledged * 1000:.0f} ms, "
        f"flights.delays followed in {followed * 1000:.0f} ms as {node.latest_run('flights.delays')}"
    )


def ask(node: DemoNode) -> None:
    console.print(f"\n[bold]A question[/]  (POST {node.api}/query)\n")
    console.print(QUESTION, markup=False)
    console.print()
    subprocess.run([*node.command, "sql", QUESTION], check=True, env=node.environment)


def show_addresses(node: DemoNode) -> None:
    console.print("\n[bold]Addresses[/]")
    console.print(f"  API      {node.api}  (health: {node.api}/system/health)")
    console.print(f"  Dagster  {node.dagster}/assets")
    console.print(f"  Tail     {node.api}/kamu/flights.late/tail?limit=3")
    console.print(f"  Token    {node.home / 'keys' / 'admin.token'}")
    console.print(f"  Log      {node.home / 'log' / 'node.log'}")
    console.print(f"  Shell    export KAMU_NODE_HOME={node.home}, then .venv/bin/kamu-node --help")


def step(text: str) -> None:
    console.print(f"[green]✓[/] {text}")


if __name__ == "__main__":
    main()
