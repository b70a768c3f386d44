"""Files that were pushed as they lie on somebody's disk: packed, as their names say."""

from dataclasses import replace
from pathlib import Path

from kamu_assets.coordinator.ingest.prepare.steps import PrepareRequest, prepare_file
from kamu_assets.coordinator.ingest.push.media_types import GZIP_ENDING
from kamu_assets.coordinator.ingest.read.input_file import InputFile
from kamu_assets.odf.source import CompressionFormat, PrepStepDecompress

_MAGIC = b"\x1f\x8b"


def without_gzip(file: InputFile, scratch: Path) -> InputFile:
    """The file, or what is in it when its name and its first bytes say gzip; within the limits of unpacking."""
    if not file.name.lower().endswith(GZIP_ENDING) or not _is_packed(file.path):
        return file
    step = PrepStepDecompress(format=CompressionFormat.GZIP)
    prepared = prepare_file(PrepareRequest(file.path, file.name, (step,), scratch))
    return replace(file, path=prepared.path)


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
