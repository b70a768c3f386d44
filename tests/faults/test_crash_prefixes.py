"""The power fails at every moment of a commit: whatever the disk kept of it, the node is as before or as after."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from kamu_assets.coordinator.garbage import CollectOptions, GarbageCollection
from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.commit.committer import Committer
from kamu_assets.durability import Durability
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.names import DatasetName
from kamu_assets.storage import files as storage_files
from kamu_assets.storage import local as local_store
from kamu_assets.storage.layout import data_key
from kamu_assets.storage.local import LocalObjectStore
from tests.faults.aftermath import violation_in
from tests.faults.crash_states import CrashState, crash_states
from tests.faults.stage import memory_folder
from tests.faults.tape import Event, Names, Sync, Tape
from tests.support.builders import START
from tests.support.coordination import a_reorganization
from tests.support.heart import ADMIN, Heart, an_entry, open_heart, that_adds
from tests.support.wrong_committers import BlocksAfterHead, HeadFirst

DATASET = an_entry().id
Record = Callable[[str, object], None]
Work = Callable[[Heart, Tape], None]


@dataclass
class Scene:
    """A node on a disk that is watched."""

    home: Path
    monkeypatch: pytest.MonkeyPatch

    def play(self, work: Work, committer_class: type[Committer] = Committer) -> Tape:
        """What some work does to the files of a node that has one dataset with one slice."""
        heart = open_heart(self.home, durability=Durability.FULL, committer_class=committer_class)
        heart.dataset()
        heart.add_data(DATASET)
        with heart.database.transaction() as tx:
            assert tx.execute(text("PRAGMA synchronous")).scalar_one() == 2
        tape = Tape(self.home)
        with self.monkeypatch.context() as patched:
            tape.record(patched)
            patched.setattr(Transaction, "announce", self._sync_log(tape, Transaction.announce))
            work(heart, tape)
        heart.database.close()
        return tape

    def _sync_log(self, tape: Tape, announce: Callable[[Transaction], None]) -> Callable[[Transaction], None]:
        """SQLite syncs its log within COMMIT, by `PRAGMA synchronous = FULL`; that is native code."""

        def synced(tx: Transaction) -> None:
            tape.synced((self.home / "node.db-wal").stat().st_ino)
            announce(tx)

        return synced


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    folder = tempfile.mkdtemp(prefix="kamu-faults-", dir=memory_folder())
    yield Scene(Path(folder), monkeypatch)
    shutil.rmtree(folder)


def commit(heart: Heart, tape: Tape) -> None:
    """Two blocks, a slice and the first checkpoint."""
    tape.acknowledge(heart.add_checkpoint(DATASET, SetInfo(description="the second")))


def create(heart: Heart, tape: Tape) -> None:
    """A dataset beside the first, with a slice: every folder is new."""
    entry = heart.dataset("created")
    tape.acknowledge(heart.chains.head(entry.id))
    tape.acknowledge(heart.add_data(entry.id))


def create_only(heart: Heart, tape: Tape) -> None:
    tape.acknowledge(heart.chains.head(heart.dataset("created").id))


def append(heart: Heart, tape: Tape) -> None:
    tape.acknowledge(heart.add_data(DATASET))


def append_and_rename(heart: Heart, tape: Tape) -> None:
    tape.acknowledge(heart.add_data(DATASET))
    heart.datasets.rename(ADMIN, DATASET, DatasetName("renamed"))
    tape.acknowledge(heart.add_data(DATASET))


def reuse(heart: Heart, tape: Tape) -> None:
    """The first slice of a dataset is there already: its writer died before anything was synced."""
    entry = heart.dataset("created")
    state = heart.chains.state(entry.id)
    new = heart.a_slice(start=0)
    copy = new.path.with_name("copy")
    shutil.copyfile(new.path, copy)
    LocalObjectStore(tape.root / "datasets", Durability.FAST).put_file(copy, data_key(entry.id, new.physical_hash))
    done = heart.committer.commit(
        entry.id, expected_head=state.head, events=[that_adds(new, state)], files=[new], system_time=START
    )
    tape.acknowledge(done.new_head)


def delete(heart: Heart, tape: Tape) -> None:
    heart.datasets.delete(ADMIN, DATASET)


def compact(heart: Heart, tape: Tape) -> None:
    """Two slices become one, and the files of both go."""
    heart.add_data(DATASET)
    a_reorganization(heart).compact(ADMIN, DATASET)
    tape.acknowledge(heart.chains.head(DATASET))
    collection = GarbageCollection(heart.datasets, heart.database, heart.volumes, heart.clock)
    assert collection.collect(ADMIN, DATASET, CollectOptions(grace_seconds=0)).removed


def reset(heart: Heart, tape: Tape) -> None:
    """What comes after the first slice is taken back."""
    first = heart.chains.head(DATASET)
    heart.add_data(DATASET)
    a_reorganization(heart).reset(ADMIN, DATASET, ResetOptions(new_head=first))
    tape.acknowledge(first)


@pytest.mark.parametrize("work", [commit, create, append_and_rename, reuse, delete, compact, reset])
def test_every_crash_state_is_as_before_or_as_after(scene: Scene, work: Work, record_property: Record) -> None:
    tape = scene.play(work)

    states = list(crash_states(tape))
    violations = [found for state in states if (found := violation(scene, state))]

    record_property("prefixes of writes", len(tape.events) + 1)
    record_property("crash states", len(states))
    record_property("chains broken by power cuts", len(violations))
    assert violations == []
    assert any(isinstance(event, Sync) for event in tape.events)


@pytest.mark.parametrize("wrong", [HeadFirst, BlocksAfterHead])
def test_a_head_that_moves_too_early_is_noticed(scene: Scene, wrong: type[Committer]) -> None:
    tape = scene.play(commit, wrong)

    assert any(violation(scene, state) for state in crash_states(tape))


@pytest.mark.parametrize(
    "sync", [(storage_files, "sync_content"), (local_store, "sync_folder"), (storage_files, "sync_folder")]
)
def test_a_store_that_does_not_sync_is_noticed(scene: Scene, sync: tuple[object, str]) -> None:
    scene.monkeypatch.setattr(*sync, lambda _: None)
    tape = scene.play(create_only)

    assert is_noticed(scene, crash_states(tape))


def test_each_sync_of_an_append_is_needed(scene: Scene) -> None:
    """What is synced without need costs every commit; that what is needed is missing must be noticed."""
    tape = scene.play(append)

    synced = syncs(tape.events).items()
    kinds = {_kind(tape.name(target)): notices(scene, tape, without=index) for index, target in synced}

    # Not `refs/head`: it is repaired from SQL at the next start.
    assert kinds == {"data/*": True, "data": True, "blocks/*": True, "blocks": True, "node.db-wal": True}


def test_heads_that_change_places_are_on_the_tape(scene: Scene) -> None:
    tape = scene.play(append)

    names = [event.changes for event in tape.events if isinstance(event, Names)]
    exchanged = [changes for changes in names if len(changes) == 2 and all(number is not None for _, number in changes)]
    assert [sorted(name.partition("-")[0] for name, _ in changes) for changes in exchanged] == [[".pending", "head"]]
    assert all(set(changes) != {("head", None)} for changes in names), "at no moment there is no head"


def _kind(name: str) -> str:
    """`data/*` for a slice, `data` for their folder."""
    *_, folder, last = name.split("/")
    return f"{folder}/*" if folder in {"data", "blocks", "refs"} else last


def syncs(events: Sequence[Event]) -> dict[int, int]:
    """Where in the tape something is synced, and what."""
    return {index: event.target for index, event in enumerate(events) if isinstance(event, Sync)}


def notices(scene: Scene, tape: Tape, *, without: int) -> bool:
    events = [event for index, event in enumerate(tape.events) if index != without]
    return is_noticed(scene, crash_states(tape, events))


def is_noticed(scene: Scene, states: Iterable[CrashState]) -> bool:
    """Whether any of them is wrong: the later, the more was promised, so the last come first."""
    return any(violation(scene, state) for state in reversed(list(states)))


def violation(scene: Scene, state: CrashState) -> str | None:
    """What is wrong with a node that finds this state."""
    with tempfile.TemporaryDirectory(prefix="kamu-crash-", dir=scene.home.parent) as folder:
        state.restore(Path(folder))
        found = violation_in(Path(folder), state.acknowledged)
    return found and f"after {state.prefix} events: {found}"
