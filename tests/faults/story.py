"""A day in the life of a node, to be interrupted anywhere: from pushes to compaction, a reset and a deletion."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from kamu_assets.coordinator.garbage import CollectOptions, GarbageCollection
from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.coordinator.results import Updated
from kamu_assets.coordinator.service import Coordinator, PushData
from kamu_assets.durability import Durability
from kamu_assets.odf.data import OperationType
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.names import DatasetName
from kamu_assets.odf.serde.yaml import parse_snapshot
from tests.faults.aftermath import violation_in
from tests.faults.deaths import OnStep, acknowledge, acknowledged
from tests.support.builders import START
from tests.support.coordination import a_coordinator, a_reorganization
from tests.support.heart import ADMIN, Heart, an_entry, open_heart
from tests.support.inline_engine import InlineEngine

PLAIN = an_entry().id
VICTIM = an_entry("victim").id
FILES = 3
# Slices of a dataset that is compacted.
WORN = 3
_ADDING = {OperationType.APPEND, OperationType.CORRECT_TO}
ROWS = 4

_ROOT = """
kind: DatasetSnapshot
version: 1
content:
  name: {name}
  kind: Root
  metadata:
    - kind: {source}
      read:
        kind: NdJson
        schema:
          fields:
            - name: event_time
              type: {{kind: Option, inner: {{kind: Timestamp}}}}
            - name: id
              type: {{kind: Option, inner: {{kind: Int64}}}}
            - name: value
              type: {{kind: Option, inner: {{kind: Int64}}}}
      merge: {merge}
"""
_PUSH = "AddPushSource\n      sourceName: default"
_FILES = """SetPollingSource
      fetch:
        kind: FilesGlob
        path: "{home}/inbox/*.ndjson"
        order: ByName"""
_DERIVATIVE = """
kind: DatasetSnapshot
version: 1
content:
  name: doubled
  kind: Derivative
  metadata:
    - kind: SetTransform
      inputs: [{datasetRef: pushed, alias: pushed}]
      transform:
        kind: Sql
        engine: datafusion
        query: select event_time, id, id * 2 as twice from pushed
"""
_APPEND = "{kind: Append}"
_LEDGER = "{kind: Ledger, primaryKey: [id]}"
_SNAPSHOT = "{kind: Snapshot, primaryKey: [id]}"


def prepare(home: Path) -> None:
    """The node of the story before it begins."""
    heart = open_heart(home)
    heart.dataset()
    heart.add_data(PLAIN)
    heart.dataset("victim")
    heart.add_data(VICTIM)
    for name, source, merge in (
        ("pushed", _PUSH, _APPEND),
        ("booked", _PUSH, _LEDGER),
        ("kept", _PUSH, _SNAPSHOT),
        ("worn", _PUSH, _APPEND),
        ("polled", _FILES.replace("{home}", str(home)), _APPEND),
    ):
        heart.datasets.create_from_snapshot(ADMIN, parse_snapshot(_ROOT.format(name=name, source=source, merge=merge)))
    heart.datasets.create_from_snapshot(ADMIN, parse_snapshot(_DERIVATIVE))
    coordinator = a_coordinator(heart, base=home)
    for number in range(WORN):
        coordinator.push(ADMIN, ref("worn"), PushData(records([number])))
    for number in range(FILES):
        path = inbox(home, number)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(records(range(number * ROWS, (number + 1) * ROWS)))
    heart.database.close()


def inbox(home: Path, number: int) -> Path:
    """A file to poll: the names of many are in the order of their numbers too."""
    return home / "inbox" / f"{number:04}.ndjson"


Step = Callable[[], None]


def story(home: Path, on_step: OnStep) -> None:
    """Everything that changes a node, each told as done when it is."""
    for step in steps(home, open_heart(home, durability=Durability.FULL, on_step=on_step)).values():
        step()


def steps(home: Path, heart: Heart) -> dict[str, Step]:
    """What happens, by name; each can be done without the others."""
    coordinator = a_coordinator(heart, base=home, engines={"datafusion": InlineEngine()})

    def push(name: str, numbers: range) -> None:
        acknowledge(home, coordinator.push(ADMIN, ref(name), PushData(records(numbers))).new_head)
        note_rows(home / f"done-{name}", numbers)

    return {
        "push pushed 0": lambda: push("pushed", range(3)),
        "push booked 0": lambda: push("booked", range(3)),
        "push pushed 3": lambda: push("pushed", range(3, 5)),
        "push booked 3": lambda: push("booked", range(2, 5)),
        "push kept 0": lambda: push("kept", range(3)),
        "push kept 1": lambda: push("kept", range(1, 5)),
        "poll": lambda: _pull(home, coordinator, "polled"),
        "transform": lambda: _pull(home, coordinator, "doubled"),
        "commit": lambda: acknowledge(home, _commit_with_checkpoint(home, heart)),
        "compact": lambda: _compact(heart),
        "reset": lambda: _reset(heart),
        "collect": lambda: _collect(heart),
        "create": lambda: acknowledge(home, heart.add_data(heart.dataset("created").id)),
        "rename": lambda: _rename(heart),
        "delete": lambda: _delete(heart),
    }


def _pull(home: Path, coordinator: Coordinator, name: str) -> None:
    done = coordinator.pull(ADMIN, ref(name), on_progress=lambda update: acknowledge(home, update.new_head))
    if isinstance(done, Updated):
        acknowledge(home, done.new_head)


def _compact(heart: Heart) -> None:
    a_reorganization(heart).compact(ADMIN, ref("worn"))


def _reset(heart: Heart) -> None:
    """Back to the newest block of the rows that all of the story leaves there."""
    worn = heart.datasets.resolve(ADMIN, ref("worn")).id
    # Never more than was there: whoever is interrupted and goes on finds it done, or does it.
    heart.committer.commit(worn, expected_head=None, events=[SetInfo(description="taken back")], system_time=START)
    before = next(islice(heart.chains.blocks(worn), 1, None))
    a_reorganization(heart).reset(ADMIN, worn, ResetOptions(new_head=before.block_hash))


def _collect(heart: Heart) -> None:
    collection = GarbageCollection(heart.datasets, heart.database, heart.volumes, heart.clock)
    collection.collect(ADMIN, ref("worn"), CollectOptions(grace_seconds=0))


def _rename(heart: Heart) -> None:
    heart.datasets.rename(ADMIN, PLAIN, DatasetName("renamed"))


def _delete(heart: Heart) -> None:
    heart.datasets.delete(ADMIN, VICTIM)


def note_rows(path: Path, numbers: Iterable[int]) -> None:
    with path.open("a") as file:
        file.writelines(f"{number}\n" for number in numbers)


def wrong_after(home: Path) -> str | None:
    """What is wrong with the node of a story that was interrupted, and then goes on."""
    return violation_in(home, acknowledged(home)) or _wrong_rows(home)


def records(numbers: Iterable[int]) -> bytes:
    lines = [json.dumps({"event_time": None, "id": number, "value": number * 7}) for number in numbers]
    return "".join(f"{line}\n" for line in lines).encode()


def ref(name: str) -> DatasetAlias:
    return DatasetAlias(None, DatasetName(name))


def ids(heart: Heart, name: str) -> list[int]:
    """The column `id` of all slices, in the order of the chain."""
    return [number for _, number in changes(heart, name)]


def latest(heart: Heart, name: str) -> set[int]:
    """Which ids are left after all additions and retractions; AssertionError when one does not fit."""
    left: set[int] = set()
    for operation, number in changes(heart, name):
        adds = operation in _ADDING
        assert (number in left) is not adds
        (left.add if adds else left.discard)(number)
    return left


def changes(heart: Heart, name: str) -> list[tuple[int, int]]:
    """Operation and id of every row."""
    entry = heart.datasets.resolve(ADMIN, ref(name))
    slices = heart.chains.slices(entry.id, after=None, until=heart.chains.head(entry.id))
    paths = [heart.datasets.slice_location(entry, found.physical_hash) for found in slices]
    tables = [pq.read_table(path, columns=["op", "id"]) for path in paths]
    return [pair for table in tables for pair in zip(table["op"].to_pylist(), table["id"].to_pylist(), strict=True)]


def _commit_with_checkpoint(home: Path, heart: Heart) -> object:
    # Written by the story itself, hence beside its notes, where no fault is put in its way.
    return heart.add_checkpoint(PLAIN, SetInfo(description="with a checkpoint"), file=home / "checkpoint")


def _wrong_rows(home: Path) -> str | None:
    """Whoever goes on where the story stopped gets every row once."""
    heart = open_heart(home)
    coordinator = a_coordinator(heart, base=home, engines={"datafusion": InlineEngine()})
    for name in ("polled", "doubled"):
        coordinator.pull(ADMIN, ref(name))
    found = {name: ids(heart, name) for name in ("pushed", "booked", "polled", "doubled", "worn")}
    kept, done = latest(heart, "kept"), noted_rows(home / "done-kept")
    promised = {name: noted_rows(home / f"done-{name}") for name in ("pushed", "booked")}
    refused = {name: noted_rows(home / f"refused-{name}") for name in ("pushed", "booked")}
    heart.database.close()
    if kept not in _states_of_kept(done):
        return f"the snapshot holds {kept} after {done}"
    if any(times > 1 for numbers in found.values() for times in Counter(numbers).values()):
        return f"rows are there twice: {found}"
    if [found["polled"], found["worn"]] != [list(range(FILES * ROWS)), list(range(WORN))]:
        return f"files were not read once each, or rows did not outlast a compaction: {found}"
    # The engine reads the slices of an input in the order of their hashes.
    if sorted(found["doubled"]) != found["pushed"]:
        return f"the derivative has {found['doubled']}, its input {found['pushed']}"
    if any(numbers & set(found[name]) for name, numbers in refused.items()):
        return f"rows are there that were refused: {found}"
    lost = [name for name, numbers in promised.items() if not numbers <= set(found[name])]
    return f"pushes to {lost} are lost: {found}" if lost else None


def _states_of_kept(done: set[int]) -> list[set[int]]:
    """What may be there when this was acknowledged: each push takes the place of all before it."""
    pushed = [set(), set(range(3)), set(range(1, 5))]
    return [state for state in pushed if 4 not in done or 4 in state]


def noted_rows(path: Path) -> set[int]:
    return set(map(int, path.read_text().split())) if path.exists() else set()
