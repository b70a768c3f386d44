"""Start a node, feed it real data, push a few rows live, ask a question, keep it running."""

import argparse
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from rich.console import Console

from deployment.demo import data, following
from deployment.demo.node import DemoNode

MANIFESTS = Path(__file__).parent / "manifests"
ROOTS = ("flights", "weather", "airlines")
DERIVATIVES = ("flights.delays", "flights.late", *following.WAITING)
QUESTION = """
select
  a.name as airline, count(*) as flights,
  round(avg(dep_delay) filter (where visib >= 3), 1) as delay_if_clear,
  round(avg(dep_delay) filter (where visib < 3), 1) as delay_if_hazy
from "kamu/flights.weather" f join "kamu/airlines" a on f.carrier = a.carrier
group by a.name order by flights desc limit 5
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
    progress = load(node, source)
    follow_live(node, source, progress)
    ask(node)
    show_addresses(node)


def add_datasets(node: DemoNode, source: Path) -> None:
    rendered = source / "manifests"
    rendered.mkdir(exist_ok=True)
    files = [rendered / f"{name}.yaml" for name in (*ROOTS, *DERIVATIVES)]
    for file in files:
        file.write_text((MANIFESTS / file.name).read_text().replace("__DATA__", str(source)))
    node.kamu_node("add", *map(str, files))
    # A derivative follows what comes after it: in a home with flights from before, the first run is asked for.
    listed = node.datasets()
    behind = [name for name in following.WAITING if listed[name]["watermark"] is None]
    if listed["flights"]["records"] and behind:
        node.kamu_node("pull", *behind)
    step(f"seven datasets: roots {', '.join(ROOTS)}; derivatives {', '.join(DERIVATIVES)}")


def load(node: DemoNode, source: Path) -> dict[str, following.Progress]:
    """Weather and airlines are polled on a schedule, as Dagster runs; the flights are pushed, a month at a time."""
    for name in ("weather", "airlines"):
        node.kamu_node("trigger", "set", name, "--every", "1h")
    months = sorted((source / "flights").iterdir())
    with console.status("") as status:
        for month in months:
            status.update(f"pushing {month.name}")
            node.push("flights", month.read_bytes(), "text/csv")
        status.update("the derivatives follow")
        following.wait_for_rows(node)
        for name, records in data.polled(source).items():
            node.wait_until(partial(has_records, node, name, records), f"{name} is not complete")
        waiting = following.wait_for_watermarks(node)
    for name in (*ROOTS, *DERIVATIVES):
        step(f"{name:15} {node.count(name):>9,} records{still_open(node, name, waiting)}")
    return waiting


def has_records(node: DemoNode, name: str, records: int) -> bool:
    return node.count(name) >= records


def still_open(node: DemoNode, name: str, waiting: dict[str, following.Progress]) -> str:
    """What a derivative that waits for the watermark says nothing about yet."""
    if name not in waiting:
        return ""
    watermark = waiting[name].watermark
    flights = following.open_flights(node, watermark)
    return f", complete before {watermark}; {flights:,} newer flights {following.WAITING[name]}"


def follow_live(node: DemoNode, source: Path, before: dict[str, following.Progress]) -> None:
    """Push the next hour of the year's last days and watch the derivatives change."""
    hours = sorted((source / "live").iterdir())
    pushed = source / "live.pushed"
    start = int(pushed.read_text()) if pushed.exists() else 0
    hour = hours[start] if start < len(hours) else hours[-1]
    flights, delays = node.last_offset("flights"), node.last_offset("flights.delays")
    begin = time.monotonic()
    node.push("flights", hour.read_bytes(), "text/csv")
    acknowledged = time.monotonic() - begin
    pushed.write_text(str(start + 1))
    added = node.last_offset("flights") - flights
    if not added:
        step(f"a live push of known flights ({hour.stem}:00Z): acknowledged, nothing to do")
        return
    followed = following.time_rows(node, "flights.delays", after=delays, since=begin)
    step(
        f"a live push of {added} flights ({hour.stem}:00Z): durable in {acknowledged * 1000:.0f} ms, "
        f"flights.delays followed in {followed * 1000:.0f} ms as {node.latest_run('flights.delays')}"
    )
    tell_progress(before, following.wait_for_watermarks(node))


def tell_progress(before: dict[str, following.Progress], after: dict[str, following.Progress]) -> None:
    """What the live push closed: hours that are over, flights whose weather is known now."""
    for name, now in after.items():
        more = now.records - before[name].records
        step(f"{name}: {more} more records, complete before {now.watermark} now, as {now.run}")


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
