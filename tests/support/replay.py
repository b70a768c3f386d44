"""Runs the steps of a recorded root scenario on a fresh node and tells every difference (recorded: test b).

Equal must be: outcome, error kind and number of new blocks of each step; in the end all events, except dataset ids,
physical hashes and sizes. The logical hashes stand for the rows.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from kamu_assets.coordinator.ingest.errors import SourceNotFoundError
from kamu_assets.coordinator.results import Updated
from kamu_assets.coordinator.service import Coordinator, PushData
from kamu_assets.datasets.errors import NameCollisionError
from kamu_assets.errors import KamuError
from kamu_assets.odf.chain_rules import ChainRuleError
from kamu_assets.odf.identity import DatasetAlias, parse_dataset_ref
from kamu_assets.odf.serde.yaml import block_to_json, event_from_json, parse_snapshot
from kamu_assets.odf.snapshot import InvalidSnapshotError
from kamu_assets.odf.timestamp import Timestamp
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, open_heart
from tests.support.web_source import Route, WebSource, web_source

# What a scenario may need beyond what is there; the word is the reason of the exclusion.
MISSING = {
    "GeoJson": "reader",
    "NdGeoJson": "reader",
    "EsriShapefile": "reader",
    "Snapshot": "merge strategy",
    "ChangelogStream": "merge strategy",
    "UpsertStream": "merge strategy",
    "Decompress": "prepare step",
    "Pipe": "prepare step",
    "compact": "operation",
    "reset": "operation",
}
# Behaviour of kamu that is not worth having.
NOT_COPIED = {
    "stale-savepoint",
    "watermark-clears-source-state",
    "first-push-of-two-files-fails",
    "op-type-unchecked",
}
_KINDS = {
    "NoOpEventError": "no-op-event",
    "SystemTimeIsNotMonotonicError": "system-time-not-monotonic",
    "UnimplementedEventError": "unimplemented",
    "InvalidSnapshotError": "invalid-snapshot",
    "UnsupportedManifestVersionError": "unsupported-version",
    "ManifestError": "malformed-manifest",
    "ChainRuleError": "invalid-event",
    "UnknownEngineError": "unknown-engine",
}
# What `--input-format` of the command line means.
_MEDIA_TYPES = {"csv": "text/csv; header=absent", "json": "application/json", "ndjson": "application/x-ndjson"}
_IGNORED = {"datasetId", "physicalHash", "size"}


@dataclass
class Scenario:
    """One folder of recordings."""

    folder: Path
    script: Mapping[str, Any]
    expected: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> "Scenario":
        script = YAML(typ="safe", pure=True).load((folder / "scenario.yaml").read_text())
        return cls(folder, script, json.loads((folder / "expected.json").read_text()))

    def exclusion(self) -> str | None:
        """Why the scenario cannot be replayed, if so."""
        quirks = NOT_COPIED & set(self.script.get("quirks") or ())
        if quirks:
            return f"permanent: {', '.join(sorted(quirks))} is not copied"
        missing = sorted(self._words() & set(MISSING))
        return f"{MISSING[missing[0]]} {missing[0]}" if missing else None

    def _words(self) -> set[str]:
        words = {step["op"] for step in self.script["steps"]}
        return words | set(_kinds(list(self.expected.get("blocks") or ())))


@dataclass
class Replay:
    """A node on which a scenario runs."""

    scenario: Scenario
    home: Path
    heart: Heart
    coordinator: Coordinator
    web: WebSource
    differences: list[str] = field(default_factory=list)

    def run(self) -> list[str]:
        """Everything that differs."""
        for step, wanted in zip(self.scenario.script["steps"], self.scenario.expected["steps"], strict=True):
            self._step(step, wanted)
        if not self.differences:
            self._compare_blocks()
        return self.differences

    def _step(self, step: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        self._prepare(step)
        before = self._length()
        kind = ""
        try:
            outcome = self._execute(step)
        except KamuError as error:
            outcome, kind = "error", kind_of(error)
            detail = f" ({type(error).__name__}: {error})"
        else:
            detail = ""
        self._compare(step["id"], "outcome", wanted["outcome"], outcome, detail)
        self._compare(step["id"], "error kind", wanted.get("kind") or "", kind, detail)
        self._compare(step["id"], "new blocks", len(wanted["newBlocks"]), self._length() - before, detail)

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
        entry = self.heart.datasets.resolve(ADMIN, self._ref)
        event = event_from_json(step["event"])
        self.heart.committer.commit(entry.id, expected_head=None, events=[event], system_time=self.heart.clock.now())
        return "updated"

    @property
    def _ref(self) -> DatasetAlias:
        ref = parse_dataset_ref(self.scenario.script["dataset"])
        if not isinstance(ref, DatasetAlias):
            raise TypeError(ref)
        return ref

    def _blocks(self) -> list[Mapping[str, Any]]:
        try:
            entry = self.heart.datasets.resolve(ADMIN, self._ref)
        except KamuError:
            return []
        return [block_to_json(found.block) for found in self.heart.chains.blocks(entry.id, newest_first=False)]

    def _length(self) -> int:
        return len(self._blocks())

    def _compare_blocks(self) -> None:
        wanted = [comparable(found["block"]) for found in self.scenario.expected.get("blocks") or ()]
        for number, (old, new) in enumerate(zip(wanted, map(comparable, self._blocks()), strict=True)):
            self._compare(f"block {number}", "content", old, new, "")


def replay(scenario: Scenario, home: Path) -> list[str]:
    """Run a scenario in an empty folder and tell what differs."""
    with web_source() as web:
        heart = open_heart(home)
        variables = {"SRC_DIR": str(home / "src"), "SRC_URL": web.url}
        coordinator = a_coordinator(heart, base=home, variables=variables)
        try:
            return Replay(scenario, home, heart, coordinator, web).run()
        finally:
            heart.database.close()


def comparable(value: Any) -> Any:
    """A block without what differs from node to node."""
    if isinstance(value, Mapping):
        # Block hashes depend on the dataset id.
        return {key: comparable(part) for key, part in value.items() if key not in _IGNORED | {"prevBlockHash"}}
    return [comparable(part) for part in value] if isinstance(value, list) else value


def kind_of(error: KamuError) -> str:
    """The label that recordings have for such an error."""
    kind = getattr(error, "kind", None)
    if isinstance(kind, str):
        return kind
    return next((_KINDS[found.__name__] for found in type(error).__mro__ if found.__name__ in _KINDS), "?")


def _kinds(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("kind"), str):
            yield value["kind"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _kinds(part)


def _word(result: object) -> str:
    return "updated" if isinstance(result, Updated) else "upToDate"
