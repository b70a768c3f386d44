"""How far the derivatives have come, told by counts and watermarks."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from deployment.demo.node import DemoNode

# Those that are held back by the watermark, and what that means for flights that are not in them yet.
WAITING: Final = {
    "flights.hourly": "are in an hour that stays open until a later flight comes",
    "flights.weather": "wait until both flights and weather have gone on",
}

Listed = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Progress:
    """Records and watermark of a dataset, and the newest run that brought it there."""

    records: int
    watermark: str
    run: str


def wait_for_rows(node: DemoNode) -> None:
    """Until the derivatives that make something of each row at once have seen all flights."""
    late = """select count(*) as n from "kamu/flights.delays" where outcome = 'late'"""
    node.wait_until(lambda: node.count("flights.delays") == node.count("flights"), "flights.delays did not follow")
    node.wait_until(lambda: node.count("flights.late") == node.query(late)[0]["n"], "flights.late did not follow")


def wait_for_watermarks(node: DemoNode) -> dict[str, Progress]:
    """Until the others have come as far as their inputs allow; where that is."""
    listed = node.wait_until(lambda: _once_followed(node.datasets()), f"{' and '.join(WAITING)} did not follow")
    return {name: Progress(row["records"], row["watermark"], node.latest_run(name)) for name, row in listed.items()}


def _once_followed(listed: Listed) -> Listed:
    """The waiting ones, or nothing before all of them have followed."""
    texts = [listed[name]["watermark"] for name in ("flights", "weather", *WAITING)]
    if None in texts:
        return {}
    flights, weather, hourly, met = map(datetime.fromisoformat, texts)
    open_hour = flights.replace(minute=0, second=0, microsecond=0)
    has_followed = hourly == open_hour and met == min(flights, weather)
    return {name: listed[name] for name in WAITING} if has_followed else {}


def open_flights(node: DemoNode, watermark: str) -> int:
    """How many flights a derivative with this watermark says nothing about yet."""
    query = f"""select count(*) as n from "kamu/flights" where event_time >= timestamp '{watermark}'"""
    return int(node.query(query)[0]["n"])


def time_rows(node: DemoNode, dataset: str, *, after: int, since: float) -> float:
    """Seconds from `since` until a dataset has a record behind this offset."""
    node.wait_until(lambda: node.last_offset(dataset) > after, f"{dataset} did not follow", every=0.02)
    return time.monotonic() - since
