"""A day in the life of a node, to be interrupted anywhere: pushes, a ledger, files, a derivative, commits, deletion."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from kamu_assets.coordinator.results import Updated
from kamu_assets.coordinator.service import Coordinator, PushData
from kamu_assets.durability import Durability
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.names import DatasetName
from kamu_assets.odf.serde.yaml import parse_snapshot
from tests.faults.aftermath import violation_in
from tests.faults.deaths import OnStep, acknowledge, acknowledged
from tests.integration.test_commit_kill import a_checkpoint
from tests.support.builders import START
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, an_entry, open_heart, that_adds
from tests.support.replay_derivatives import InlineEngine

PLAIN = an_entry().id
VICTIM = an_entry("victim").id
FILES = 3
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
        ("polled", _FILES.replace("{home}", str(home)), _APPEND),
    ):
        heart.datasets.create_from_snapshot(ADMIN, parse_snapshot(_ROOT.format(name=name, source=source, merge=merge)))
    heart.datasets.create_from_snapshot(ADMIN, parse_snapshot(_DERIVATIVE))
    for number in range(FILES):
        path = home / "inbox" / f"{number}.ndjson"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(records(range(number * ROWS, (number + 1) * ROWS)))
    heart.database.close()


def story(home: Path, on_step: OnStep) -> None:
    """Everything that changes a node, each told as done when it is."""
    heart = open_heart(home, durability=Durability.FULL, on_step=on_step)
    coordinator = a_coordinator(heart, base=home, engines={"datafusion": InlineEngine()})
    for name, numbers in (("pushed", range(3)), ("booked", range(3)), ("pushed", range(3, 5)), ("booked", range(2, 5))):
        acknowledge(home, coordinator.push(ADMIN, ref(name), PushData(records(numbers))).new_head)
        (home / f"done-{name}").write_text(str(numbers.stop))
    coordinator.pull(ADMIN, ref("polled"), on_progress=lambda update: acknowledge(home, update.new_head))
    _transform(home, coordinator)
    acknowledge(home, _commit_with_checkpoint(heart))
    created = heart.dataset("created")
    acknowledge(home, heart.add_data(created.id))
    heart.datasets.rename(ADMIN, created.id, DatasetName("renamed"))
    heart.datasets.delete(ADMIN, VICTIM)


def wrong_after(home: Path) -> str | None:
    """What is wrong with the node of a story that was interrupted, and then goes on."""
    return violation_in(home, acknowledged(home)) or _wrong_rows(home)


def records(numbers: range) -> bytes:
    return b"".join(json.dumps({"event_time": None, "id": number}).encode() + b"\n" for number in numbers)


def ref(name: str) -> DatasetAlias:
    return DatasetAlias(None, DatasetName(name))


def ids(heart: Heart, name: str) -> list[int]:
    """The column `id` of all slices, in the order of the chain."""
    entry = heart.datasets.resolve(ADMIN, ref(name))
    slices = heart.chains.slices(entry.id, after=None, until=heart.chains.head(entry.id))
    paths = [heart.datasets.slice_location(entry, found.physical_hash) for found in slices]
    return [number for path in paths for number in pq.read_table(path, columns=["id"])["id"].to_pylist()]


def _transform(home: Path, coordinator: Coordinator) -> None:
    done = coordinator.pull(ADMIN, ref("doubled"))
    if isinstance(done, Updated):
        acknowledge(home, done.new_head)


def _commit_with_checkpoint(heart: Heart) -> object:
    state = heart.chains.state(PLAIN)
    new, checkpoint = heart.a_slice(start=state.next_offset), a_checkpoint(heart)
    event = that_adds(new, state).model_copy(update={"new_checkpoint": checkpoint.checkpoint})
    return heart.committer.commit(
        PLAIN,
        expected_head=state.head,
        events=[SetInfo(description="with a checkpoint"), event],
        files=[new, checkpoint],
        system_time=START,
    ).new_head


def _wrong_rows(home: Path) -> str | None:
    """Whoever goes on where the story stopped gets every row once."""
    heart = open_heart(home)
    coordinator = a_coordinator(heart, base=home, engines={"datafusion": InlineEngine()})
    for name in ("polled", "doubled"):
        coordinator.pull(ADMIN, ref(name))
    found = {name: ids(heart, name) for name in ("pushed", "booked", "polled", "doubled")}
    promised = {name: _promised(home, name) for name in ("pushed", "booked")}
    heart.database.close()
    if any(times > 1 for numbers in found.values() for times in Counter(numbers).values()):
        return f"rows are there twice: {found}"
    if found["polled"] != list(range(FILES * ROWS)):
        return f"files were not read once each: {found['polled']}"
    if found["doubled"] != found["pushed"]:
        return f"the derivative has {found['doubled']}, its input {found['pushed']}"
    lost = [name for name, numbers in promised.items() if not set(numbers) <= set(found[name])]
    return f"pushes to {lost} are lost: {found}" if lost else None


def _promised(home: Path, name: str) -> range:
    done = home / f"done-{name}"
    return range(int(done.read_text())) if done.exists() else range(0)
