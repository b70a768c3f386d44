"""Adds datasets for the command line: inputs first, all of a file or nothing of it, a row about each."""

from collections.abc import Iterator, Sequence
from typing import Any

from kamu_api.cli.datasets.manifests import ManifestFile
from kamu_api.cli.failures import failure_text
from kamu_assets.auth.service import ADMIN
from kamu_assets.coordinator.ingest.futile_sources import why_futile
from kamu_assets.datasets.errors import (
    CyclicDependencyError,
    DanglingReferenceError,
    DatasetNotFoundError,
    NameCollisionError,
)
from kamu_assets.datasets.lifecycle.snapshots import in_order
from kamu_assets.datasets.model import DatasetEntry, DatasetSummary
from kamu_assets.errors import KamuError
from kamu_assets.node import Node
from kamu_assets.odf.dataset import DatasetSnapshot
from kamu_assets.odf.identity import DatasetAlias

Row = dict[str, Any]


class Adding:
    """One run of `kamu-node add`. Nothing is deleted before everything that takes its place has been checked."""

    def __init__(self, node: Node, *, replace: bool = False) -> None:
        self._node = node
        self._caller = node.auth.admin_caller()
        self._replace = replace

    def replaceable(self, files: Sequence[ManifestFile]) -> list[DatasetEntry]:
        """The datasets that `replace` would delete, as far as nothing else is wrong."""
        named = {_full(snapshot) for file in files for snapshot in file.snapshots}
        return [entry for entry in self._node.datasets.list(self._caller) if entry.alias in named]

    def rows(self, files: Sequence[ManifestFile]) -> Iterator[Row]:
        """One row per file that adds nothing, then one per dataset."""
        offers = {file.name: file.snapshots for file in files if file.failure is None}
        yield from (_failed_file(file.name, str(file.failure)) for file in files if file.failure is not None)
        for refuse in (_repeated, self._invalid, _cyclic):
            while bad := refuse(offers):
                for name, message in bad.items():
                    del offers[name]
                    yield _failed_file(name, f"{name}: {message}")
        ordered = in_order([snapshot for offer in offers.values() for snapshot in offer], ADMIN)
        replaced, kept = self._deleted(ordered) if self._replace else ({}, {})
        for snapshot in ordered:
            alias = _full(snapshot)
            yield _failed(snapshot, kept[alias]) if alias in kept else self._add(snapshot, replaced.get(alias))

    def _invalid(self, offers: dict[str, Sequence[DatasetSnapshot]]) -> dict[str, str]:
        """Files with a manifest that no dataset can be made of, and why; those beside it count as there."""
        beside = {_full(snapshot) for offer in offers.values() for snapshot in offer}
        bad: dict[str, str] = {}
        for name, offer in offers.items():
            for snapshot in offer:
                try:
                    self._node.datasets.check_snapshot(self._caller, snapshot, beside=beside)
                except KamuError as error:
                    bad.setdefault(name, f"{snapshot.name}: {failure_text(error)}")
        return bad

    def _deleted(
        self, ordered: Sequence[DatasetSnapshot]
    ) -> tuple[dict[DatasetAlias, DatasetSummary], dict[DatasetAlias, str]]:
        """Delete those that are there, derivatives first; what they were, and why others stay."""
        deleted, kept = {}, {}
        for alias in map(_full, reversed(ordered)):
            try:
                summary = self._node.datasets.summary(self._caller, alias)
                self._node.datasets.delete(self._caller, summary.entry.id)
            except DatasetNotFoundError:
                continue
            except DanglingReferenceError as error:
                kept[alias] = f"{error}; give the manifests of these as well, or delete them first"
            except KamuError as error:
                kept[alias] = failure_text(error)
            else:
                deleted[alias] = summary
        return deleted, kept

    def _add(self, snapshot: DatasetSnapshot, old: DatasetSummary | None) -> Row:
        name = str(snapshot.name)
        try:
            entry = self._node.datasets.create_from_snapshot(self._caller, snapshot)
        except NameCollisionError:
            return {"dataset": name, "result": "skipped", "message": "Already exists"}
        except KamuError as error:
            return _failed(snapshot, failure_text(error))
        warnings = list(self._warnings(entry))
        warning = {"warning": "; ".join(warnings)} if warnings else {}
        if old is None:
            return {"dataset": name, "result": "added", "id": str(entry.id), **warning}
        gone = {"oldId": str(old.entry.id), "oldRecords": old.statistics.records}
        return {"dataset": name, "result": "replaced", "id": str(entry.id), **gone, **warning}

    def _warnings(self, entry: DatasetEntry) -> Iterator[str]:
        """What is wrong with a dataset that can be added all the same."""
        if problem := why_futile(self._node.datasets.describe(self._caller, entry.id).chain):
            yield f"{problem}; until that is corrected its source brings no data"
        if problem := self._node.quality.declared(entry.id).problem:
            yield f"{problem}; until that is corrected its check `quality` fails"


def added_line(row: Row) -> str:
    """The row for people."""
    match row["result"]:
        case "failed" if "dataset" in row:
            return f"{row['dataset']}: {row['message']}"
        case "failed":
            return str(row["message"])
        case "replaced":
            gone = f"{row['oldRecords']:,} old record(s) are gone, and what was set for it: triggers, webhooks"
            return f"Replaced: {row['dataset']}: {gone}"
        case _:
            message = [row["message"]] if "message" in row else []
            return ": ".join([row["result"].capitalize(), row["dataset"], *message])


def _repeated(offers: dict[str, Sequence[DatasetSnapshot]]) -> dict[str, str]:
    """Files that say again what a dataset is."""
    seen: dict[DatasetAlias, str] = {}
    bad: dict[str, str] = {}
    for name, offer in offers.items():
        for snapshot in offer:
            first = seen.setdefault(_full(snapshot), name)
            if first != name or sum(_full(other) == _full(snapshot) for other in offer) > 1:
                where = "twice in it" if first == name else f"in {first} as well"
                bad.setdefault(name, f"{snapshot.name} is {where}; leave one")
    return bad


def _cyclic(offers: dict[str, Sequence[DatasetSnapshot]]) -> dict[str, str]:
    """Files with datasets that would be computed from themselves."""
    try:
        in_order([snapshot for offer in offers.values() for snapshot in offer], ADMIN)
    except CyclicDependencyError as error:
        loop = set(error.loop)
        return {
            name: failure_text(error)
            for name, offer in offers.items()
            if any(str(_full(snapshot)) in loop for snapshot in offer)
        }
    return {}


def _full(snapshot: DatasetSnapshot) -> DatasetAlias:
    return snapshot.name if snapshot.name.account else DatasetAlias(ADMIN, snapshot.name.name)


def _failed(snapshot: DatasetSnapshot, message: str) -> Row:
    return {"dataset": str(snapshot.name), "result": "failed", "message": message}


def _failed_file(name: str, message: str) -> Row:
    return {"file": name, "result": "failed", "message": message}
