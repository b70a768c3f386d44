"""Files that were pushed as they lie on somebody's disk: packed, as their names say."""

from dataclasses import replace
from pathlib import Path

from kamu_assets.coordinator.ingest.prepare.steps import PrepareRequest, prepare_file
from kamu_assets.coordinator.ingest.push.media_types import GZIP_MAGIC, is_packed
from kamu_assets.coordinator.ingest.read.input_file import InputFile
from kamu_assets.odf.source import CompressionFormat, PrepStepDecompress


def without_gzip(file: InputFile, scratch: Path) -> InputFile:
    """The file, or what is in it when its name and its first bytes say gzip; within the limits of unpacking."""
    with file.path.open("rb") as opened:
        first = opened.read(len(GZIP_MAGIC))
    if not is_packed(file.name, first):
        return file
    step = PrepStepDecompress(format=CompressionFormat.GZIP)
    prepared = prepare_file(PrepareRequest(file.path, file.name, (step,), scratch))
    return replace(file, path=prepared.path)
