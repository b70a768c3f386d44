"""Hypothesis plays with a node: push, poll, transform, crash, reopen, verify; a list of rows says what must be."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from kamu_assets.coordinator.ingest.errors import IngestError
from kamu_assets.coordinator.service import Coordinator, PushData
from kamu_assets.storage.local import LocalObjectStore
from kamu_assets.storage.object_store import Condition, ObjectInfo
from tests.faults.aftermath import check
from tests.faults.stage import memory_folder
from tests.faults.story import FILES, ROWS, ids, inbox, latest, prepare, records, ref
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, open_heart
from tests.support.inline_engine import InlineEngine

Record = Callable[[str, object], None]
SHORT = settings(
    max_examples=3, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
LONG = settings(SHORT, max_examples=60, stateful_step_count=30)
numbers = st.integers(0, 30)
bodies = st.lists(numbers, min_size=0, max_size=5)


class PowerCut(BaseException):
    """The process is no more."""


class FragileStore(LocalObjectStore):
    """Works until its process ends, before or after the n-th write."""

    cut_in = 0
    cut_after = False

    def put(self, key: str, data: bytes, *, condition: Condition | None = None, lasting: bool = True) -> ObjectInfo:
        return self._write(lambda: super(FragileStore, self).put(key, data, condition=condition, lasting=lasting))

    def put_file(self, path: Path, key: str) -> ObjectInfo:
        return self._write(lambda: super(FragileStore, self).put_file(path, key))

    def _write(self, write: Callable[[], ObjectInfo]) -> ObjectInfo:
        self.cut_in -= 1
        if self.cut_in == 0 and not self.cut_after:
            raise PowerCut
        done = write()
        if self.cut_in == 0:
            raise PowerCut
        return done


@dataclass
class Rows:
    """What the datasets must hold."""

    pushed: list[int] = field(default_factory=list)
    booked: list[int] = field(default_factory=list)
    polled: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    kept: set[int] = field(default_factory=set)


class Node(RuleBasedStateMachine):
    """The node under test beside the model of it."""

    # Of all nodes of this process.
    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="kamu-model-", dir=memory_folder()))
        prepare(self.home)
        self.files = FILES
        self.rows = Rows()
        self.heart = self._open()

    def _open(self) -> Heart:
        return open_heart(self.home, store_class=FragileStore)

    @property
    def coordinator(self) -> Coordinator:
        return a_coordinator(self.heart, base=self.home, engines={"datafusion": InlineEngine()})

    @rule(body=bodies)
    def push(self, body: list[int]) -> None:
        result = self.coordinator.push(ADMIN, ref("pushed"), PushData(records(body)))

        assert result.records == len(body)
        self.rows = self._after_push(body)

    @rule(body=bodies)
    def push_half_of_it_bad(self, body: list[int]) -> None:
        with pytest.raises(IngestError):
            self.coordinator.push(ADMIN, ref("pushed"), PushData(records(body) + b'{"id": "no number"}\n'))

    @rule(body=bodies)
    def book(self, body: list[int]) -> None:
        expected = self._after_book(body)

        result = self.coordinator.push(ADMIN, ref("booked"), PushData(records(sorted(set(body)))))

        assert result.records == len(expected.booked) - len(self.rows.booked)
        self.rows = expected

    @rule(body=bodies.filter(bool))
    def take_the_place_of_all_before(self, body: list[int]) -> None:
        self.coordinator.push(ADMIN, ref("kept"), PushData(records(sorted(set(body)))))

        self.rows = self._after_replace(body)

    @rule()
    def add_a_file(self) -> None:
        first = self.files * ROWS
        inbox(self.home, self.files).write_bytes(records(range(first, first + ROWS)))
        self.files += 1

    @rule()
    def poll(self) -> None:
        self.coordinator.pull(ADMIN, ref("polled"))
        self.rows = self._after_poll()

    @rule()
    def transform(self) -> None:
        self.coordinator.pull(ADMIN, ref("doubled"))
        self.rows = self._after_transform()

    @rule(
        work=st.sampled_from(["push", "book", "poll", "transform", "replace"]),
        body=bodies,
        writes=st.integers(1, 4),
        late=st.booleans(),
    )
    def die_meanwhile(self, work: str, body: list[int], writes: int, late: bool) -> None:  # noqa: FBT001 - as Hypothesis calls
        """What was under way is done or not; files are polled one after another, so some may be."""
        before, after = self.rows, getattr(self, f"_after_{work}")(body)
        store = self.heart.volumes.root
        assert isinstance(store, FragileStore)
        store.cut_in, store.cut_after = writes, late
        with contextlib.suppress(PowerCut):
            self._do(work, body)
        self.heart.database.close()
        self.heart = self._open()

        found = self._found()
        if work == "poll":
            assert after.polled[: len(found.polled)] == found.polled
            after = replace(after, polled=found.polled)
        assert found in (before, after)
        self.rows = found

    @rule()
    def reopen(self) -> None:
        self.heart.database.close()
        self.heart = self._open()

    @rule()
    def repair_and_verify(self) -> None:
        check(self.heart)

    @invariant()
    def every_row_is_there_once_and_in_order(self) -> None:
        Node.steps += 1
        assert self._found() == self.rows

    def teardown(self) -> None:
        check(self.heart)
        self.heart.database.close()
        shutil.rmtree(self.home)

    def _do(self, work: str, body: list[int]) -> None:
        match work:
            case "push":
                self.coordinator.push(ADMIN, ref("pushed"), PushData(records(body)))
            case "book":
                self.coordinator.push(ADMIN, ref("booked"), PushData(records(sorted(set(body)))))
            case "replace":
                self.coordinator.push(ADMIN, ref("kept"), PushData(records(sorted(set(body) or {0}))))
            case "poll":
                self.coordinator.pull(ADMIN, ref("polled"))
            case _:
                self.coordinator.pull(ADMIN, ref("doubled"))

    def _after_push(self, body: list[int]) -> Rows:
        return replace(self.rows, pushed=[*self.rows.pushed, *body])

    def _after_book(self, body: list[int]) -> Rows:
        new = sorted(set(body) - set(self.rows.booked))
        return replace(self.rows, booked=[*self.rows.booked, *new])

    def _after_replace(self, body: list[int]) -> Rows:
        return replace(self.rows, kept=set(body) or {0})

    def _after_poll(self, _: object = None) -> Rows:
        return replace(self.rows, polled=list(range(self.files * ROWS)))

    def _after_transform(self, _: object = None) -> Rows:
        return replace(self.rows, doubled=sorted(self.rows.pushed))

    def _found(self) -> Rows:
        """The engine reads slices in the order of their hashes, so a derivative has its own order."""
        heart = self.heart
        return Rows(
            ids(heart, "pushed"),
            ids(heart, "booked"),
            ids(heart, "polled"),
            sorted(ids(heart, "doubled")),
            latest(heart, "kept"),
        )


def play(how: settings, record_property: Record) -> None:
    before = Node.steps
    run_state_machine_as_test(Node, settings=how)
    record_property("steps of the model", Node.steps - before)


def test_a_node_keeps_what_a_list_of_rows_keeps(record_property: Record) -> None:
    play(SHORT, record_property)


@pytest.mark.faults
@pytest.mark.timeout(3_600)
def test_a_node_keeps_it_for_long(record_property: Record) -> None:
    play(LONG, record_property)
