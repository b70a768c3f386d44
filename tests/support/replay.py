"""Runs the steps of a recorded root scenario on a fresh node and tells every difference (recorded: test b).

Equal must be: outcome, error kind and number of new blocks of each step; in the end all events, except dataset ids,
physical hashes and sizes. The logical hashes stand for the rows.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kamu_assets.coordinator.compacting import CompactOptions
from kamu_assets.coordinator.compaction_plan import MAX_SLICE_RECORDS, MAX_SLICE_SIZE, CompactionLimits
from kamu_assets.coordinator.ingest.errors import SourceNotFoundError
from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.coordinator.results import Reorganized, Updated
from kamu_assets.coordinator.service import Coordinator, PushData
from kamu_assets.datasets.chains.chains import ChainBlock
from kamu_assets.datasets.errors import NameCollisionError
from kamu_assets.errors import KamuError
from kamu_assets.odf.chain_errors import ChainRuleError
from kamu_assets.odf.identity import DatasetAlias, parse_dataset_ref
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.yaml import block_to_json, event_from_json, parse_snapshot
from kamu_assets.odf.snapshot import InvalidSnapshotError
from kamu_assets.odf.timestamp import Timestamp
from tests.support.coordination import a_coordinator, a_reorganization
from tests.support.heart import ADMIN, Heart, open_heart
from tests.support.recorded_root import Scenario
from tests.support.replay_compare import comparable, kind_of
from tests.support.web_source import Route, WebSource, web_source

# What `--input-format` of the command line means.
_MEDIA_TYPES = {"csv": "text/csv; header=absent", "json": "application/json", "ndjson": "application/x-ndjson"}


@dataclass
class Replay:
    """A node on which a scenario runs."""

    scenario: Scenario
    home: Path
    heart: Heart
    coordinator: Coordinator
    web: WebSource
    differences: list[str] = field(default_factory=list)

    def run(self, steps: Sequence[Mapping[str, Any]]) -> list[str]:
        """Everything that differs."""
        for step in steps:
            self._step(step)
        if steps and not self.differences:
            self._compare_blocks(self.scenario.blocks_after(steps[-1]))
        return self.differences

    def _step(self, step: Mapping[str, Any]) -> None:
        self._prepare(step)
        before = self._hashes()
        wanted, kind = self.scenario.wanted(step), ""
        try:
            outcome = self._execute(step)
        except KamuError as error:
            outcome, kind = "error", kind_of(error)
            detail = f" ({type(error).__name__}: {error})"
        else:
            detail = ""
        self._compare(step["id"], "outcome", wanted.outcome, outcome, detail)
        self._compare(step["id"], "error kind", wanted.kind, kind, detail)
        self._compare(step["id"], "new blocks", wanted.new_blocks, len(self._hashes() - before), detail)

    def _compare(self, step: str, what: str, wanted: object, found: object, detail: str) -> None:
        if wanted != found:
            self.differences.append(f"{step}: {what}: expected {wanted!r}, found {found!r}{detail}")

    def _prepare(self, step: Mapping[str, Any]) -> None:
        self.heart.clock.set(Timestamp.parse(step["systemTime"]))
        for put in step.get("put") or ():
            target = self.home / put["as"]
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.scenario.folder / put["file"], target)
            modified = Timestamp.parse(put.get("mtime") or step["systemTime"]).ns
            os.utime(target, ns=(modified, modified))
        for name in step.get("remove") or ():
            (self.home / name).unlink()
        for path, route in (step.get("http") or {}).items():
            self.web.routes[path] = self._route(route)

    def _route(self, route: Mapping[str, Any]) -> Route:
        return Route(
            body=(self.scenario.folder / route["file"]).read_bytes() if route.get("file") else b"",
            status=route.get("status") or 200,
            etag=route.get("etag"),
            last_modified=route.get("lastModified"),
            conditional=route.get("conditional", True),
        )

    def _execute(self, step: Mapping[str, Any]) -> str:
        match step["op"]:
            case "add":
                return self._add(step)
            case "pull":
                fetch_uncacheable = bool(step.get("fetchUncacheable"))
                return _word(self.coordinator.pull(ADMIN, self._ref, fetch_uncacheable=fetch_uncacheable))
            case "ingest":
                return self._ingest(step)
            case "setWatermark":
                moment = Timestamp.parse(step["watermark"])
                return _word(self.coordinator.set_watermark(ADMIN, self._ref, moment))
            case "commitEvent":
                return self._commit_event(step)
            case "compact" | "reset":
                return _word(self._reorganize(step))
            case other:
                raise AssertionError(f"no such step: {other}")

    def _add(self, step: Mapping[str, Any]) -> str:
        text = (self.scenario.folder / step["manifest"]).read_text()
        try:
            self.heart.datasets.create_from_snapshot(ADMIN, parse_snapshot(text), system_time=self.heart.clock.now())
        except NameCollisionError:
            return "upToDate"
        except ChainRuleError as error:
            # Recordings call an event that may not stand in a manifest a fault of the manifest.
            raise InvalidSnapshotError(str(error)) from error
        return "added"

    def _ingest(self, step: Mapping[str, Any]) -> str:
        news = False
        for name, content in self._pushed(step):
            result = self.coordinator.push(
                ADMIN,
                self._ref,
                PushData(content, name),
                source_name=step.get("sourceName"),
                media_type=_MEDIA_TYPES[step["inputFormat"]] if step.get("inputFormat") else None,
                source_event_time=Timestamp.parse(step["eventTime"]) if step.get("eventTime") else None,
            )
            news = news or not result.up_to_date
        return "updated" if news else "upToDate"

    def _pushed(self, step: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
        if step.get("stdin"):
            yield "stdin", (self.scenario.folder / step["stdin"]).read_bytes()
        for name in step.get("files") or ():
            if not (self.home / name).exists():
                raise SourceNotFoundError(f"{name} does not exist")
            yield name, (self.home / name).read_bytes()

    def _commit_event(self, step: Mapping[str, Any]) -> str:
        self.coordinator.commit_event(ADMIN, self._ref, event_from_json(step["event"]))
        return "updated"

    def _reorganize(self, step: Mapping[str, Any]) -> object:
        reorganization = a_reorganization(self.heart)
        if step["op"] == "reset":
            return reorganization.reset(ADMIN, self._ref, ResetOptions(new_head=self._reset_to(step)))
        if step.get("keepMetadataOnly"):
            return reorganization.reset_to_metadata(ADMIN, self._ref)
        limits = CompactionLimits(
            max_slice_size=step.get("maxSliceSize") or MAX_SLICE_SIZE,
            max_slice_records=step.get("maxSliceRecords") or MAX_SLICE_RECORDS,
        )
        return reorganization.compact(ADMIN, self._ref, CompactOptions(limits))

    def _reset_to(self, step: Mapping[str, Any]) -> Multihash:
        if "hash" in step["to"]:
            return Multihash.parse(step["to"]["hash"])
        entry, number = self.heart.datasets.resolve(ADMIN, self._ref), int(step["to"]["sequenceNumber"])
        return next(self.heart.chains.blocks(entry.id, start=number)).block_hash

    @property
    def _ref(self) -> DatasetAlias:
        ref = parse_dataset_ref(self.scenario.script["dataset"])
        if not isinstance(ref, DatasetAlias):
            raise TypeError(ref)
        return ref

    def _chain(self) -> Sequence[ChainBlock]:
        try:
            entry = self.heart.datasets.resolve(ADMIN, self._ref)
        except KamuError:
            return []
        return list(self.heart.chains.blocks(entry.id, newest_first=False))

    def _blocks(self) -> list[Mapping[str, Any]]:
        return [block_to_json(found.block) for found in self._chain()]

    def _hashes(self) -> set[Multihash]:
        return {found.block_hash for found in self._chain()}

    def _compare_blocks(self, wanted: Sequence[Mapping[str, Any]]) -> None:
        found = self._blocks()
        self._compare("the end", "blocks", len(wanted), len(found), "")
        for number, (old, new) in enumerate(zip(wanted, found, strict=False)):
            self._compare(f"block {number}", "content", comparable(old), comparable(new), "")


def replay(scenario: Scenario, home: Path, steps: Sequence[Mapping[str, Any]] | None = None) -> list[str]:
    """Run a scenario, or its first steps, in an empty folder and tell what differs."""
    with web_source() as web:
        heart = open_heart(home)
        variables = {"SRC_DIR": str(home / "src"), "SRC_URL": web.url}
        coordinator = a_coordinator(heart, base=home, variables=variables)
        try:
            return Replay(scenario, home, heart, coordinator, web).run(scenario.steps if steps is None else steps)
        finally:
            heart.database.close()


def _word(result: object) -> str:
    return "updated" if isinstance(result, Updated | Reorganized) else "upToDate"
