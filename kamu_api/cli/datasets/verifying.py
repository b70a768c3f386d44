"""Verifies datasets for the command line: one row about each, whatever becomes of the others."""

from collections.abc import Sequence
from typing import Any

from kamu_api.cli.failures import failure_text
from kamu_api.cli.near_names import with_near_name
from kamu_api.cli.output import ProgressLine
from kamu_assets.coordinator.verify.model import (
    Fault,
    Place,
    Remark,
    VerificationReport,
    VerifyOptions,
    VerifyProgress,
    VerifyScope,
)
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import KamuError
from kamu_assets.node import Node
from kamu_assets.odf.identity import DatasetID

_SHOWN_FAULTS = 10

Row = dict[str, Any]


class Verifying:
    """One run of `kamu-node verify`."""

    def __init__(self, node: Node, *, integrity: bool) -> None:
        self._node = node
        self._caller = node.auth.admin_caller()
        self._scope = VerifyScope.INTEGRITY if integrity else VerifyScope.FULL

    def chosen(self, texts: Sequence[str], *, recursive: bool) -> tuple[Sequence[DatasetEntry], list[Row]]:
        """What names and patterns mean, each once, after their inputs if `recursive`; rows about those of nobody."""
        found: dict[DatasetID, DatasetEntry] = {}
        idle = []
        for text in texts:
            try:
                found |= {entry.id: entry for entry in self._node.datasets.select(self._caller, [text])}
            except KamuError as error:
                idle.append(_failed(text, failure_text(with_near_name(self._node, error))))
        chosen = list(found.values())
        return (self._node.coordinator.upstream(self._caller, chosen) if recursive else chosen), idle

    def verify(self, entry: DatasetEntry, progress: ProgressLine) -> dict[str, Any]:
        """The report on one as a row; a verification that cannot be done is a row too, so that others go on."""

        def tell(now: VerifyProgress) -> None:
            note = f"{now.blocks_done:,} of {now.blocks_total:,} blocks"
            if now.replays_done:
                note += f", {now.replays_done:,} results"
            progress.update(done=now.bytes_done + now.blocks_done, total=now.bytes_total + now.blocks_total, note=note)

        options = VerifyOptions(scope=self._scope, on_progress=tell)
        try:
            report = self._node.coordinator.verify(self._caller, entry.id, options)
        except KamuError as error:
            return _failed(str(entry.alias), failure_text(error))
        return _row(report)


def verdict_lines(row: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The row for people: the verdict or what is wrong, and remarks."""
    name = row["dataset"]
    if row["result"] == "failed":
        return [f"{name}: could not be verified: {row['message']}"], []
    if row["result"] == "valid":
        told = [f"{name}: valid: {_counts(row)}"]
    else:
        told = [f"{name}: {fault['text']}" for fault in row["faults"][:_SHOWN_FAULTS]]
        if len(row["faults"]) > _SHOWN_FAULTS:
            told.append(f"{name}: and {len(row['faults']) - _SHOWN_FAULTS} more; --json shows them")
    return told, [f"{name}: {each['text']}" for each in row["remarks"]]


def _failed(dataset: str, message: str) -> dict[str, Any]:
    return {"dataset": dataset, "result": "failed", "message": message}


def _counts(row: dict[str, Any]) -> str:
    replays = f", {row['replays']:,} result(s) computed again" if row["replays"] else ""
    return f"{row['blocks']:,} block(s), {row['records']:,} record(s){replays} in {row['seconds']:.1f} s"


def _row(report: VerificationReport) -> dict[str, Any]:
    counts = report.counts
    return {
        "dataset": str(report.dataset.alias),
        "result": "valid" if report.is_valid else "invalid",
        "verdict": report.verdict.value,
        "scope": report.scope.value,
        "head": None if report.head is None else str(report.head),
        "blocks": counts.blocks,
        "slices": counts.slices,
        "records": counts.records,
        "bytes": counts.bytes,
        "replays": counts.replays,
        "seconds": round(report.seconds, 3),
        "faults": [_fault(fault) for fault in report.faults],
        "remarks": [_remark(each) for each in report.remarks],
    }


def _fault(fault: Fault) -> dict[str, Any]:
    wrong = {"expected": fault.expected, "found": fault.found}
    return {"kind": fault.kind.value, **_place(fault.place), **wrong, "text": str(fault)}


def _remark(each: Remark) -> dict[str, Any]:
    return {"kind": each.kind.value, **_place(each.place), "text": str(each)}


def _place(place: Place) -> dict[str, Any]:
    block = None if place.block is None else str(place.block)
    return {"sequenceNumber": place.sequence_number, "blockHash": block, "file": place.file}
