"""The folder of a dataset's sidecars: runs, and one manifest per head that names the runs valid for it.

Nothing is synced: what a crash leaves half written does not have the size and the checksums that its manifest says.
"""

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import sha3_256
from pathlib import Path
from typing import Any, Final

from kamu_assets.coordinator.ingest.sidecars.errors import SidecarUnusableError
from kamu_assets.coordinator.ingest.sidecars.run import BatchNote, Run, RunNote
from kamu_assets.coordinator.ingest.sidecars.use import MANIFEST_SUFFIX, manifest_path
from kamu_assets.odf.multihash import Multihash

_ORPHAN_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a sidecar is made of."""

    head: str
    # Of the layout: equal or unusable.
    fingerprint: str
    seed: int
    # All records with a lower offset are in it.
    next_offset: int
    # Oldest first.
    runs: tuple[RunNote, ...]


class Shelf:
    """Sidecars of one layout of one dataset."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, head: Multihash, fingerprint: str, *, next_offset: int) -> tuple[Manifest, list[Run]]:
        """The sidecar of a head with its runs opened; SidecarUnusableError."""
        manifest = self._manifest(head)
        if manifest.head != str(head) or manifest.fingerprint != fingerprint or manifest.next_offset != next_offset:
            raise SidecarUnusableError(f"the sidecar of {head} belongs to something else")
        return manifest, [Run.open(self.folder, note) for note in manifest.runs]

    def publish(self, manifest: Manifest) -> None:
        """Make a sidecar known, and forget the ones before."""
        outdated = {path: _run_names(path) for path in self._manifests()}
        path = manifest_path(self.folder, Multihash.parse(manifest.head))
        pending = self.folder / f".{secrets.token_hex(8)}"
        pending.write_bytes(_encoded(manifest))
        pending.replace(path)
        kept = {note.name for note in manifest.runs}
        for found, names in outdated.items():
            if found != path:
                _remove(found)
            for name in names - kept:
                _remove(self.folder / name)
        self._sweep(kept)

    def _sweep(self, kept: set[str]) -> None:
        """Remove what interrupted or hindered writers left."""
        latest = time.time() - _ORPHAN_SECONDS
        for path in self.folder.iterdir():
            with contextlib.suppress(OSError):
                if path.suffix != MANIFEST_SUFFIX and path.name not in kept and path.stat().st_mtime < latest:
                    path.unlink()

    def _manifests(self) -> Iterator[Path]:
        return self.folder.glob(f"*{MANIFEST_SUFFIX}")

    def _manifest(self, head: Multihash) -> Manifest:
        path = manifest_path(self.folder, head)
        try:
            return _decoded(path.read_bytes())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SidecarUnusableError(f"{path.name}: {error}") from error


def _run_names(path: Path) -> set[str]:
    """The files that a manifest names, as far as it can be read."""
    try:
        return {note.name for note in _decoded(path.read_bytes()).runs}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _encoded(manifest: Manifest) -> bytes:
    body = json.dumps(asdict(manifest)).encode()
    return sha3_256(body).hexdigest().encode() + b"\n" + body


def _decoded(data: bytes) -> Manifest:
    digest, _, body = data.partition(b"\n")
    if digest.decode() != sha3_256(body).hexdigest():
        raise ValueError("is damaged")
    found: dict[str, Any] = json.loads(body)
    runs = tuple(
        RunNote(run["name"], run["size"], tuple(BatchNote(**batch) for batch in run["batches"]))
        for run in found.pop("runs")
    )
    return Manifest(**found, runs=runs)
