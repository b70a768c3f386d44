"""Pulls datasets for the command line: in the order of their dependencies, with a line about each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kamu_api.cli.failures import told
from kamu_api.cli.output import ProgressLine
from kamu_assets.coordinator.results import NothingToPoll, PullResult, Updated, UpToDate
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.node import Node
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True, slots=True)
class HowToPull:
    """What options say."""

    fetch_uncacheable: bool = False
    # Derivatives whose inputs were rewritten are computed anew.
    reset_derivatives: bool = False
    # Set instead of pulling.
    watermark: Timestamp | None = None


class Pulling:
    """One run of `kamu-node pull`."""

    def __init__(self, node: Node, how: HowToPull) -> None:
        self._node = node
        self._caller = node.auth.admin_caller()
        self._how = how

    def in_order(self, names: Sequence[str] | None, *, recursive: bool) -> Sequence[DatasetEntry]:
        """The named datasets, with all that they are computed from if `recursive`, or all; inputs come first."""
        graph = self._node.datasets.lineage(self._caller)
        if not names:
            return graph.inputs_first()
        named = [entry.id for entry in self._node.datasets.select(self._caller, names)]
        return graph.upstream(named).inputs_first() if recursive else graph.inputs_first(named)

    def pull(self, entry: DatasetEntry, progress: ProgressLine) -> dict[str, Any]:
        """Bring one up to date; a failure is a row too, so that others go on."""

        def tell(update: Updated) -> None:
            progress.update(note=f"{update.records:,} records in {update.blocks} blocks")

        coordinator = self._node.coordinator
        try:
            if self._how.watermark is not None:
                return {"dataset": str(entry.alias), **self._set_watermark(entry, self._how.watermark)}
            result = coordinator.pull(
                self._caller,
                entry.id,
                fetch_uncacheable=self._how.fetch_uncacheable,
                reset_on_diverged_input=self._how.reset_derivatives,
                on_progress=tell,
            )
        except Exception as error:  # noqa: BLE001 - a bug met by one dataset is no reason to leave out the others
            return {"dataset": str(entry.alias), "result": "failed", "message": told(error)}
        return {"dataset": str(entry.alias), **_facts(result)}

    def _set_watermark(self, entry: DatasetEntry, wanted: Timestamp) -> dict[str, Any]:
        facts = _facts(self._node.coordinator.set_watermark(self._caller, entry.id, wanted))
        found = self._node.datasets.summary(self._caller, entry.id).statistics.watermark
        return {**facts, "wanted": str(wanted), "watermark": None if found is None else str(found)}


def pull_line(row: dict[str, Any]) -> str:
    """The row for people."""
    match row["result"]:
        case "failed":
            message: str = row["message"]
            # Many name the dataset themselves.
            if message.startswith(row["dataset"]):
                return message
            words = message
        case "updated" if "watermark" in row:
            words = f"0 new record(s) in {row['blocks']} block(s), its watermark is now {row['watermark']}"
        case _ if "watermark" in row:
            words = f"up to date, its watermark is {row['watermark']} already"
            words += "" if row["wanted"] == row["watermark"] else f", which is later than {row['wanted']}"
        case "updated":
            words = f"{row['records']:,} new record(s) in {row['blocks']} block(s)"
            words += f"; {row['lateRows']:,} late record(s) of its inputs left out" if row["lateRows"] else ""
        case "nothing-to-poll":
            words = "nothing to poll, data is pushed to it"
        case _ if row["uncacheable"]:
            words = "up to date; its source cannot tell what is new, --fetch-uncacheable reads all of it again"
        case _ if row["waitingFor"]:
            words = f"waiting for data in {', '.join(row['waitingFor'])}"
        case _:
            words = "up to date"
    return f"{row['dataset']}: {words}"


def _facts(result: PullResult) -> dict[str, Any]:
    match result:
        case Updated():
            old = None if result.old_head is None else str(result.old_head)
            heads = {"oldHead": old, "newHead": str(result.new_head)}
            sizes = {"records": result.records, "blocks": result.blocks, "lateRows": result.late_rows}
            return {"result": "updated", **sizes, **heads}
        case NothingToPoll():
            return {"result": "nothing-to-poll"}
        case UpToDate():
            waiting = [str(alias) for alias in result.waiting_for]
            return {"result": "up-to-date", "uncacheable": result.uncacheable, "waitingFor": waiting}
