"""Verifies recorded derivatives as kamu left them, at the step and after the tampering that a recording names.

Verdicts of kamu are those that it gave when it read blocks from files (README-derivatives, "Verdicts"); those that it
gave by its block index are wrong for many honest datasets.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kamu_assets.coordinator.service import Coordinator
from kamu_assets.coordinator.verify.model import VerificationReport, VerifyOptions, VerifyScope
from kamu_assets.engines.datafusion.engine import run_transform
from kamu_assets.engines.engine import TransformRequest, TransformResponse
from kamu_assets.engines.job import TransformJob
from kamu_assets.engines.slices.facts import Encodings
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.storage.layout import dataset_folder
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, open_heart
from tests.support.inline_engine import InlineEngine

_MEMORY = 256 << 20
BASE = "derivative-tampering-base"


class HashingEngine(InlineEngine):
    """Spares the file of a result, as the node's own engine does."""

    def hash_rows(self, request: TransformRequest, *, cancel: threading.Event | None = None) -> TransformResponse:
        del cancel
        return run_transform(TransformJob(request, Encodings.KAMU, _MEMORY, hash_only=True))


@dataclass(frozen=True)
class RecordedVerdict:
    """What kamu said of a dataset."""

    # A scenario and a step, or a case of tampering.
    state: str
    dataset: str
    scope: VerifyScope
    block_index: str
    kind: str

    @property
    def subject(self) -> str:
        return f"{self.state}/{self.dataset}/{self.scope.value}/{self.block_index}"


@dataclass(frozen=True)
class RecordedState:
    """Datasets at one moment, and the verdicts on them."""

    name: str
    folder: Path
    # Head of each dataset, if it is not the one the recording ends with.
    heads: Mapping[str, str]
    changed_files: Sequence[Mapping[str, Any]]
    verdicts: tuple[RecordedVerdict, ...]


@dataclass(frozen=True)
class VerifiedNode:
    """A node that took the datasets in."""

    heart: Heart
    coordinator: Coordinator

    def verify(self, dataset: str, scope: VerifyScope) -> VerificationReport:
        options = VerifyOptions(scope=scope)
        return self.coordinator.verify(ADMIN, DatasetAlias.parse(f"kamu/{dataset}"), options)

    def folder(self, dataset: str) -> Path:
        entry = self.heart.datasets.resolve(ADMIN, DatasetAlias.parse(f"kamu/{dataset}"))
        return Path(self.heart.volumes.for_kind(entry.kind).location(dataset_folder(entry.id)))


def recorded_states(recorded: Path) -> Iterator[RecordedState]:
    """Every moment at which kamu verified something."""
    for path in sorted(recorded.glob("derivative-*/expected.json")):
        yield from _of_scenario(path.parent, json.loads(path.read_text()))
    tampering = recorded / "derivative-tampering.json"
    if tampering.exists():
        for case in json.loads(tampering.read_text())["cases"]:
            name = f"tampering-{case['name']}"
            verdicts = _verdicts(name, case["verdicts"])
            yield RecordedState(name, recorded / BASE, {}, case["changedFiles"], verdicts)


def our_verdict(state: RecordedState, wanted: RecordedVerdict) -> VerificationReport:
    """Our report on the same."""
    return _reports(state.folder, state.name)[wanted.dataset, wanted.scope]


@cache
def _reports(folder: Path, name: str) -> Mapping[tuple[str, VerifyScope], VerificationReport]:
    state = next(each for each in recorded_states(folder.parent) if each.name == name)
    with tempfile.TemporaryDirectory() as home, taken_in(state, Path(home)) as node:
        return {
            (each.dataset, each.scope): node.verify(each.dataset, each.scope)
            for each in {(v.dataset, v.scope): v for v in state.verdicts}.values()
        }


@contextmanager
def taken_in(state: RecordedState, home: Path) -> Iterator[VerifiedNode]:
    """The datasets of a moment on a node of our own, tampered with after that."""
    heart = open_heart(home)
    try:
        for source in sorted(_datasets(state.folder).iterdir()):
            if (source / "refs/head").exists() and state.heads.get(source.name) != "":
                _adopt(heart, source, state.heads.get(source.name), home / "recorded" / source.name)
        node = VerifiedNode(heart, a_coordinator(heart, base=home, engines={"datafusion": HashingEngine()}))
        for change in state.changed_files:
            _tamper(node.folder(change["dataset"]) / change["path"], change)
        yield node
    finally:
        heart.database.close()


def _adopt(heart: Heart, source: Path, head: str | None, copy: Path) -> None:
    shutil.copytree(source, copy, copy_function=shutil.copyfile)
    for folder in (copy, *filter(Path.is_dir, copy.rglob("*"))):
        folder.chmod(0o755)
    if head is not None:
        (copy / "refs/head").write_text(head)
    heart.datasets.adopt(ADMIN, copy, DatasetAlias.parse(f"kamu/{source.name}"))


def _datasets(folder: Path) -> Path:
    return folder / "datasets" if (folder / "datasets").exists() else folder


def _tamper(path: Path, change: Mapping[str, Any]) -> None:
    if change.get("removed"):
        path.unlink()
    else:
        path.write_bytes(bytes.fromhex(change["contentHex"]))


def _of_scenario(folder: Path, expected: Mapping[str, Any]) -> Iterator[RecordedState]:
    entries: Sequence[Mapping[str, Any]] = expected.get("verify") or ()
    for step in sorted({entry["afterStep"] for entry in entries}):
        name = f"{folder.name}/{step}"
        verdicts = _verdicts(name, [entry for entry in entries if entry["afterStep"] == step])
        yield RecordedState(name, folder, _heads(expected, step), (), verdicts)


def _heads(expected: Mapping[str, Any], until: int) -> Mapping[str, str]:
    """Heads after a step; empty where the dataset was not there."""
    heads = dict.fromkeys(expected["datasets"], "")
    for step in expected["steps"]:
        if step["index"] <= until:
            heads |= {name: change["after"] or "" for name, change in step.get("headsChanged", {}).items()}
    return heads


def _verdicts(state: str, entries: Sequence[Mapping[str, Any]]) -> tuple[RecordedVerdict, ...]:
    bypassed = {
        (entry["dataset"], entry["mode"]): entry["kind"] for entry in entries if entry["blockIndex"] == "bypassed"
    }
    return tuple(
        RecordedVerdict(
            state=state,
            dataset=entry["dataset"],
            scope=VerifyScope(entry["mode"]),
            block_index=entry["blockIndex"],
            kind=bypassed.get((entry["dataset"], entry["mode"]), entry["kind"]),
        )
        for entry in entries
    )
