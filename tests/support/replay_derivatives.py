"""Runs the steps of a recorded derivative scenario (recorded: README-derivatives, replay test).

Dataset ids are those of the recording, so created chains must have the recorded hashes. Blocks of inputs are taken over
as recorded. What we compute is compared with the recorded block, which then takes its place: so all later steps see the
very chains that kamu saw. Equal must be everything but physical hashes, sizes and checkpoints.
"""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.coordinator.service import Coordinator
from kamu_assets.datasets.commit.committer import Committer
from kamu_assets.datasets.errors import DatasetNotFoundError, NameCollisionError
from kamu_assets.datasets.lifecycle.creation import random_dataset_id
from kamu_assets.datasets.model import CommitResult, DatasetEntry, NewObject, NewSlice, Pushed
from kamu_assets.datasets.service import Datasets
from kamu_assets.errors import KamuError
from kamu_assets.governance.access import Access
from kamu_assets.odf.dataset import AddData, ExecuteTransform, MetadataEvent
from kamu_assets.odf.identity import DatasetAlias, DatasetID, DatasetKind
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import decode_block
from kamu_assets.odf.serde.yaml import event_from_json, event_to_json, parse_snapshot
from kamu_assets.odf.timestamp import Timestamp
from tests.support.coordination import a_coordinator, a_reorganization
from tests.support.heart import ADMIN, Heart, open_heart
from tests.support.inline_engine import InlineEngine
from tests.support.moved_heads import move_head, take_files
from tests.support.recorded_derivative import Recording

# Branches of such a query race in kamu: the same rows in another order are as good.
_UNION = re.compile(r"\bunion\b", re.IGNORECASE)
_FIXED_ORDER = re.compile(r"\blimit\b", re.IGNORECASE)
_IGNORED = {"physicalHash", "size", "newCheckpoint"}
_KINDS = {
    "UnknownEngineError": "UnsupportedEngine",
    "TransformNotDefinedError": "TransformNotDefined",
    "InvalidTransformQueryError": "InvalidQuery",
    "TransformFailedError": "EngineInternalError",
    "WatermarkIsNotMonotonicError": "WatermarkNotMonotonic",
    "IncompatibleSchemaError": "IncompatibleSchema",
    "InvalidInputIntervalError": "InvalidInputInterval",
    "InvalidSnapshotError": "InvalidSnapshot",
    "ChainRuleError": "InvalidSnapshot",
    "MissingInputsError": "MissingInputs",
    # kamu looks for the inputs before the dataset itself exists.
    "CyclicDependencyError": "MissingInputs",
    "ManifestError": "InvalidSnapshot",
}
# kamu crashed or got no answer from its engine: any ordinary error is right.
_ANY_ERROR = {"Crash", "EngineNoAnswer", "Internal", "Other"}


class RecordedCommitter(Committer):
    """Compares what is to be committed with the recording, and commits the recorded blocks instead."""

    replay: "DerivativeReplay | None" = None

    def commit(
        self,
        dataset: DatasetID,
        *,
        expected_head: Multihash | None,
        events: Sequence[MetadataEvent],
        system_time: Timestamp,
        files: Sequence[NewObject] = (),
        run_id: str | None = None,
        push: Pushed | None = None,
    ) -> CommitResult:
        if self.replay is None:
            raise AssertionError("commits come after the replay has begun")
        name = self.replay.name_of(dataset)
        raw = self.replay.expected_blocks(name)
        if not raw:
            # Nothing recorded: the rules should refuse it, or the blocks were deleted later.
            return super().commit(
                dataset,
                expected_head=expected_head,
                events=events,
                system_time=system_time,
                files=files,
                run_id=run_id,
                push=push,
            )
        self.replay.compare_events(name, events, [decode_block(block).event for block in raw], files)
        return self.commit_received(
            dataset, expected_head=expected_head, raw_blocks=raw, files=self.replay.recorded_files(name, raw)
        )


@dataclass
class DerivativeReplay:
    """A node on which a scenario runs."""

    recording: Recording
    home: Path
    heart: Heart
    datasets: Datasets
    coordinator: Coordinator
    # Identity of the next dataset, if the recording has one.
    next_ids: list[DatasetID]
    # Steps that are not run: what they left behind is taken over.
    left_out: frozenset[int] = frozenset()
    differences: list[str] = field(default_factory=list)
    step: Mapping[str, Any] = field(default_factory=dict)
    wanted: Mapping[str, Any] = field(default_factory=dict)

    def run(self) -> list[str]:
        """Everything that differs."""
        for step, wanted in zip(self.recording.steps, self.recording.expected["steps"], strict=True):
            self.step, self.wanted = step, wanted
            self.heart.clock.set(Timestamp.parse(step["systemTime"]))
            if step["index"] in self.left_out:
                self._stand_in()
            else:
                self._run_step()
            if self.differences:
                break
        return self.differences

    def name_of(self, dataset: DatasetID) -> str:
        return str(self.heart.datasets.resolve(ADMIN, dataset).alias.name)

    def expected_blocks(self, name: str) -> list[bytes]:
        """What kamu committed to a dataset in this step."""
        change = self._changes().get(name)
        if not change:
            return []
        # In a step that rewrites the chain first, that is where it begins: not at the head before the step.
        before = self._head(name) or change["before"]
        return self.recording.raw_blocks(name, {**change, "before": before})

    def recorded_files(self, name: str, raw: Sequence[bytes]) -> list[NewObject]:
        """Copies of the slices that these blocks name."""
        return list(self._files(name, [decode_block(block).event for block in raw]))

    def compare_events(
        self, name: str, ours: Sequence[MetadataEvent], theirs: Sequence[MetadataEvent], files: Sequence[NewObject]
    ) -> None:
        if len(ours) != len(theirs):
            self._differ(f"{name}: expected {len(theirs)} new blocks, found {len(ours)}")
            return
        for our, their in zip(ours, theirs, strict=True):
            mine, yours = comparable(event_to_json(our)), comparable(event_to_json(their))
            if mine != yours and self._same_rows(name, their, files):
                mine, yours = without_hash(mine), without_hash(yours)
            if mine != yours:
                self._differ(f"{name}: expected {yours}, found {mine}")

    def _run_step(self) -> None:
        try:
            result = self._execute()
        except KamuError as error:
            kind = _kind_of(error)
            wanted = self.wanted.get("errorKind")
            if self.wanted["result"] != "error" or (wanted != kind and wanted not in _ANY_ERROR):
                self._differ(f"expected {self.wanted['result']} {wanted}, found {kind} ({error})")
            return
        if result != self.wanted["result"]:
            self._differ(f"expected {self.wanted['result']} {self.wanted.get('errorKind') or ''}, found {result}")
        for name, change in self._changes().items():
            head = str(self.heart.chains.head(self._entry(name).id))
            if head != change["after"]:
                self._differ(f"{name}: expected head {change['after']}, found {head}")

    def _stand_in(self) -> None:
        """Heads as kamu left them."""
        for name, change in self._changes().items():
            recorded = self.recording.folder / "datasets" / name
            take_files(self.heart, self._entry(name).id, recorded)
            move_head(self.heart, self._entry(name).id, Multihash.parse(change["after"]))

    def _changes(self) -> dict[str, Any]:
        """Heads that moved in this step, as far as the blocks were still there in the end."""
        changes = self.wanted.get("headsChanged", {}).items()
        return {name: change for name, change in changes if self.recording.keeps(name, change["after"])}

    def _head(self, name: str) -> str | None:
        try:
            return str(self.heart.chains.head(self._entry(name).id))
        except DatasetNotFoundError:
            return None

    def _entry(self, name: str) -> DatasetEntry:
        return self.heart.datasets.resolve(ADMIN, DatasetAlias.parse(f"kamu/{name}"))

    def _execute(self) -> str:
        result: str = self.wanted["result"]
        match self.step["op"]:
            case "add":
                return self._add()
            case "ingest":
                self._take_over(self.step["dataset"])
                return result
            case "commitEvent":
                entry, event = self._entry(self.step["dataset"]), event_from_json(self.step["event"])
                self.coordinator.commit_event(ADMIN, entry.id, event)
                return result
            case "pull":
                return self._pull()
            case "reset":
                options = ResetOptions(new_head=Multihash.parse(self.step["toHash"]))
                a_reorganization(self.heart).reset(ADMIN, self._entry(self.step["dataset"]).id, options)
                return result
            case other:
                raise AssertionError(f"no such step: {other}")

    def _add(self) -> str:
        snapshot = parse_snapshot((self.recording.folder / self.step["manifest"]).read_text())
        if self.step.get("replace"):
            self.datasets.delete(ADMIN, snapshot.name)
        self.next_ids[:] = [self.recording.dataset_id(name) for name in self._changes()]
        try:
            self.datasets.create_from_snapshot(ADMIN, snapshot, system_time=self.heart.clock.now())
        except NameCollisionError:
            return "unchanged"
        return "updated"

    def _pull(self) -> str:
        before = self._heads()
        for name in self._pulled():
            entry = self._entry(name)
            if entry.kind is DatasetKind.ROOT:
                self._take_over(name)
            else:
                anew = bool(self.step.get("resetDerivativesOnDivergedInput"))
                self.coordinator.pull(ADMIN, entry.id, reset_on_diverged_input=anew)
        return "unchanged" if before == self._heads() else "updated"

    def _pulled(self) -> Iterator[str]:
        """Datasets of the step, inputs first when the pull is recursive."""
        seen: set[str] = set()
        for name in self.step["datasets"]:
            for found in self._with_inputs(name) if self.step.get("recursive") else [name]:
                if found not in seen:
                    seen.add(found)
                    yield found

    def _with_inputs(self, name: str) -> Iterator[str]:
        for one in self.datasets.inputs(ADMIN, self._entry(name).id):
            yield from self._with_inputs(str(one.alias.name))
        yield name

    def _heads(self) -> list[object]:
        return [self.heart.chains.head(entry.id) for entry in self.datasets.list(ADMIN)]

    def _take_over(self, name: str) -> None:
        raw = self.expected_blocks(name)
        if raw:
            self.heart.committer.commit_received(
                self._entry(name).id,
                expected_head=None,
                raw_blocks=raw,
                files=self.recorded_files(name, raw),
            )

    def _files(self, name: str, events: Sequence[MetadataEvent]) -> Iterator[NewObject]:
        kind = self.recording.kind(name)
        for event in events:
            if isinstance(event, (AddData, ExecuteTransform)) and event.new_data:
                data = event.new_data
                copy = self.heart.volumes.staging(kind) / f"recorded-{data.physical_hash}"
                shutil.copyfile(self.recording.folder / "datasets" / name / "data" / str(data.physical_hash), copy)
                yield NewSlice(copy, data.physical_hash, data.logical_hash, data.offset_interval, data.size)

    def _same_rows(self, name: str, theirs: MetadataEvent, files: Sequence[NewObject]) -> bool:
        """Whether the slices differ in nothing but the order of rows, where that is allowed."""
        if not files or not self._races(name):
            return False
        if not isinstance(theirs, ExecuteTransform) or theirs.new_data is None:
            return False
        recorded = self.recording.folder / "datasets" / name / "data" / str(theirs.new_data.physical_hash)
        return _rows(files[0].path) == _rows(recorded)

    def _races(self, name: str) -> bool:
        transform = self.heart.chains.state(self._entry(name).id).transform
        queries = (transform.transform.queries or ()) if transform else ()
        return any(_UNION.search(step.query) and not _FIXED_ORDER.search(step.query) for step in queries)

    def _differ(self, what: str) -> None:
        self.differences.append(f"step {self.wanted['index']} ({self.step['op']}): {what}")


def replay_derivative(recording: Recording, home: Path, *, left_out: frozenset[int] = frozenset()) -> list[str]:
    """Run a scenario in an empty folder and tell what differs; steps `left_out` are taken over as recorded."""
    heart = open_heart(home, committer_class=RecordedCommitter)
    ids: list[DatasetID] = []
    datasets = Datasets(
        database=heart.database,
        volumes=heart.volumes,
        chains=heart.chains,
        committer=heart.committer,
        outbox=heart.outbox,
        access=Access(),
        clock=heart.clock,
        new_dataset_id=lambda: ids.pop() if ids else random_dataset_id(),
    )
    coordinator = a_coordinator(heart, base=home, engines={"datafusion": InlineEngine()})
    replay = DerivativeReplay(recording, home, heart, datasets, coordinator, ids, left_out)
    if isinstance(heart.committer, RecordedCommitter):
        heart.committer.replay = replay
    try:
        return replay.run()
    finally:
        heart.database.close()


def comparable(value: Any) -> Any:
    """An event without what may differ."""
    if isinstance(value, Mapping):
        return {key: comparable(part) for key, part in value.items() if key not in _IGNORED}
    return [comparable(part) for part in value] if isinstance(value, list) else value


def without_hash(event: Mapping[str, Any]) -> Any:
    """The same where rows may come in any order."""
    data = {key: part for key, part in event["newData"].items() if key != "logicalHash"}
    return {**event, "newData": data}


def _rows(path: Path) -> list[str]:
    return sorted(repr({**row, "offset": None}) for row in pq.read_table(path).to_pylist())


def _kind_of(error: KamuError) -> str:
    return next((_KINDS[found.__name__] for found in type(error).__mro__ if found.__name__ in _KINDS), "?")
