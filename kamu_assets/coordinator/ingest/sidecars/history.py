"""The history of a dataset as sorted runs: taken from a sidecar, brought up to date from newer slices, or made anew."""

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from kamu_assets.coordinator.ingest.session import Bench
from kamu_assets.coordinator.ingest.sidecars.building import RunBuilder, Workshop
from kamu_assets.coordinator.ingest.sidecars.layout import Layout
from kamu_assets.coordinator.ingest.sidecars.run import Run
from kamu_assets.coordinator.ingest.sidecars.shelf import Manifest, Shelf
from kamu_assets.coordinator.ingest.sidecars.slices import slice_rows, slice_statistics
from kamu_assets.coordinator.ingest.sidecars.use import Contents, SidecarUse


@dataclass(frozen=True, slots=True)
class History:
    """Sorted runs, oldest first, and what it takes to search them."""

    layout: Layout
    seed: int
    runs: tuple[Run, ...]

    @classmethod
    def empty(cls, layout: Layout) -> "History":
        """Of a dataset without rows."""
        return cls(layout, secrets.randbits(64), ())

    def workshop(self, folder: Path | None, payload: pa.Schema) -> Workshop:
        """Makes runs of other rows that are sorted alike."""
        return Workshop(folder, key=self.layout.sort_key, payload=payload, seed=self.seed)


def open_history(bench: Bench, layout: Layout, slices: Sequence[str], use: SidecarUse | None) -> History:
    """All that slices say; with `use`, those before its base need not be read. SidecarUnusableError."""
    if use is None:
        return _extended(bench, History.empty(layout), slices, bench.scratch)
    shelf = Shelf(use.folder / layout.name)
    found = History.empty(layout)
    if use.base is not None:
        manifest, runs = shelf.read(use.base, layout.fingerprint, next_offset=use.base_offset)
        found = History(layout, manifest.seed, tuple(runs))
    if not slices:
        return found
    history = _extended(bench, found, slices, _usable_folder(shelf.folder, otherwise=bench.scratch))
    _publish(shelf, use, history)
    return history


def _extended(bench: Bench, history: History, slices: Sequence[str], folder: Path) -> History:
    layout = history.layout
    workshop = history.workshop(folder, layout.payload)
    builder = RunBuilder(workshop)
    for batch in _kept_rows(bench, slices, layout):
        builder.add(batch)
    run = builder.finish()
    if run is None:
        return history
    runs = workshop.compacted([*history.runs, run])
    workshop.tidy(runs)
    return History(layout, history.seed, tuple(runs))


def _kept_rows(bench: Bench, slices: Sequence[str], layout: Layout) -> Iterator[pa.RecordBatch]:
    if layout.contents is Contents.STATISTICS:
        return slice_statistics(bench, slices, layout)
    return map(layout.kept, slice_rows(bench, slices, layout))


def _usable_folder(folder: Path, *, otherwise: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return otherwise
    return folder


def _publish(shelf: Shelf, use: SidecarUse, history: History) -> None:
    """Nobody waits for it: what cannot be kept is made again."""
    notes = [run.note for run in history.runs if run.note is not None]
    if len(notes) < len(history.runs):
        return
    manifest = Manifest(
        head=str(use.head),
        fingerprint=history.layout.fingerprint,
        seed=history.seed,
        next_offset=use.next_offset,
        runs=tuple(notes),
    )
    with contextlib.suppress(OSError):
        shelf.publish(manifest)
