"""From an input to its rows, before anything is done to them."""

from pathlib import Path

from kamu_assets.coordinator.ingest.errors import SourceUnreachableError
from kamu_assets.coordinator.ingest.explain.guilty_record import general_error
from kamu_assets.coordinator.ingest.read.input_file import InputFile
from kamu_assets.coordinator.ingest.read.steps import ReadFrame, check_header, read_input
from kamu_assets.coordinator.ingest.session import Bench, EngineFailureError
from kamu_assets.coordinator.ingest.slice_request import SliceInput


def open_input(bench: Bench, one: SliceInput) -> ReadFrame | None:
    """Read what can be known without the rows; None when there is nothing to read."""
    try:
        source = read_input(bench, one.read, _as_file(one, bench.scratch))
        if source is not None and one.checks_header:
            check_header(source, one.read, bench.limits)
    except EngineFailureError as error:
        raise general_error(one.name, str(error)) from error
    return source


def _as_file(one: SliceInput, scratch: Path) -> InputFile:
    if isinstance(one.content, Path):
        try:
            one.content.open("rb").close()
        except OSError as error:
            raise SourceUnreachableError(f"{one.name}: cannot be read: {error.strerror}") from error
        return InputFile(one.content, one.name)
    path = scratch / "input"
    path.write_bytes(one.content)
    return InputFile(path, one.name)
