"""Pushes files for the command line."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import moment, the_dataset
from kamu_api.cli.output import ProgressLine
from kamu_assets.coordinator.ingest.errors import UnsupportedMediaTypeError
from kamu_assets.coordinator.ingest.push.media_types import media_type_of_file
from kamu_assets.coordinator.service import PushData
from kamu_assets.errors import InvalidError
from kamu_assets.node import Node
from kamu_assets.storage.workplaces import workplace


class Pushing:
    """One run of `kamu-node ingest`."""

    def __init__(
        self, node: Node, dataset: str, *, source_name: str | None, event_time: str | None, input_format: str | None
    ) -> None:
        self._node = node
        self.entry = the_dataset(node, dataset)
        self._source_name = source_name
        self._event_time = moment("--event-time", event_time)
        self._media_type = None if input_format is None else _named(input_format)

    def push_all(self, files: Sequence[Path], *, stdin: bool, progress: ProgressLine) -> Iterator[dict[str, Any]]:
        """Everything in its order; ends at the first refusal, what was pushed before stays."""
        for file in files:
            if not file.is_file():
                raise InvalidError(f"{file} is not a file")
        total = sum(file.stat().st_size for file in files)
        done = 0
        for file in files:
            progress.update(done=done, total=total, note=file.name)
            yield self._push(file, file.name, self._media_type or _media_type(file))
            done += file.stat().st_size
        if stdin:
            yield self._push_stdin(progress)

    def _push_stdin(self, progress: ProgressLine) -> dict[str, Any]:
        progress.update(note="standard input")
        with workplace(self._node.settings.uploads_path, "stdin") as folder:
            copy = folder / "body"
            with copy.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            return self._push(copy, "standard input", self._media_type)

    def _push(self, path: Path, name: str, media_type: str | None) -> dict[str, Any]:
        result = self._node.coordinator.push(
            self._node.auth.admin_caller(),
            self.entry.id,
            PushData(path, name),
            source_name=self._source_name,
            media_type=media_type,
            source_event_time=self._event_time,
        )
        return {
            "file": name,
            "result": "up-to-date" if result.up_to_date else "pushed",
            "records": result.records,
            "head": str(result.new_head),
        }


def push_line(row: dict[str, Any]) -> str:
    """The row for people."""
    return f"{row['file']}: " + ("nothing new" if row["result"] == "up-to-date" else f"{row['records']:,} record(s)")


def _named(input_format: str) -> str:
    try:
        return media_type_of_file(f"_.{input_format}")
    except UnsupportedMediaTypeError as error:
        raise MisuseError(
            f"unknown input format {input_format!r}; there are csv, json, ndjson, geojson, ndgeojson, parquet"
        ) from error


def _media_type(file: Path) -> str | None:
    """By the ending of the name; with an unknown one the source says how to read it."""
    try:
        return media_type_of_file(file.name)
    except UnsupportedMediaTypeError:
        return None
