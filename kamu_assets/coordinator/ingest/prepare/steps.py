"""Prepare steps: what happens to a fetched file before it is read (ODF: PrepStep).

Files of strangers are unpacked in a worker process: it can be killed, its memory and time are limited, and it has no
network. What comes out is written to one file of a folder that the node made and removes; names that an archive holds
never become paths.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kamu_assets.coordinator.ingest.errors import TooLargeError, UnsupportedStepError
from kamu_assets.coordinator.ingest.limits import PrepareLimits
from kamu_assets.coordinator.ingest.prepare.gzip_members import gunzip
from kamu_assets.coordinator.ingest.prepare.zip_entries import unzip
from kamu_assets.odf.source import CompressionFormat, PrepStep, PrepStepDecompress, PrepStepPipe
from kamu_assets.storage.files import told_plainly


@dataclass(frozen=True, slots=True)
class PrepareRequest:
    """A file, what to do with it, and an empty folder for what becomes of it."""

    path: Path
    # How messages call it.
    name: str
    steps: tuple[PrepStep, ...]
    folder: Path
    limits: PrepareLimits = field(default_factory=PrepareLimits)


@dataclass(frozen=True, slots=True)
class Prepared:
    """The file to read."""

    path: Path
    name: str


def check_prepare(steps: tuple[PrepStep, ...] | None) -> None:
    """Refuse steps that are not there before anything is fetched for them."""
    for step in steps or ():
        if isinstance(step, PrepStepPipe):
            raise UnsupportedStepError(
                "the prepare step Pipe is not supported: this version of the node runs no commands of manifests;"
                " the step Decompress and preprocess queries work"
            )


def prepare_file(request: PrepareRequest) -> Prepared:
    """Do the steps one after another. A job for a worker process."""
    check_prepare(request.steps)
    file = Prepared(request.path, request.name)
    with told_plainly(request.folder):
        for number, step in enumerate(request.steps):
            done = _step(step, file, request.folder / f"prepared-{number}", request.limits)
            if number:
                file.path.unlink()
            file = done
    return file


def _step(step: PrepStep, file: Prepared, target: Path, limits: PrepareLimits) -> Prepared:
    if not isinstance(step, PrepStepDecompress):
        raise UnsupportedStepError(f"the prepare step {step.kind} is not supported")
    name = file.name
    with file.path.open("rb") as source:
        match step.format:
            case CompressionFormat.GZIP:
                chunks = gunzip(source, name=name)
            case CompressionFormat.ZIP:
                entry, chunks = unzip(source, step.sub_path, name=name, max_entries=limits.max_entries)
                name = f"{name}, entry {entry}"
        _write(chunks, target, packed=file.path.stat().st_size, name=name, limits=limits)
    return Prepared(target, name)


def _write(chunks: Iterator[bytes], target: Path, *, packed: int, name: str, limits: PrepareLimits) -> None:
    by_ratio = max(limits.free_bytes, packed * limits.max_ratio)
    written = 0
    with target.open("xb") as file:
        for chunk in chunks:
            written += len(chunk)
            if written > limits.max_bytes:
                raise TooLargeError(
                    f"{name}: unpacks to more than {limits.max_bytes} bytes (setting ingest.max_unpacked)"
                )
            if written > by_ratio:
                raise TooLargeError(
                    f"{name}: unpacks to more than {limits.max_ratio} times its {packed} bytes"
                    " (setting ingest.max_unpack_ratio)"
                )
            file.write(chunk)
