"""Exports for the command line: from the rows of a query to files with their names."""

from pathlib import Path
from typing import Any, Final

from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import unfinished
from kamu_api.cli.output import ProgressLine, size_text
from kamu_api.cli.query.asking import cancellable
from kamu_api.cli.targets import new_file, new_folder
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import InvalidError
from kamu_assets.node import Node
from kamu_assets.query.exports.model import ExportFormat, ExportRequest, ExportResult
from kamu_assets.query.history.model import Door, Origin

# JSON is made of what has an object per line.
_FORMATS: Final = {**{str(form): form for form in ExportFormat}, "json": ExportFormat.NDJSON}


class Exporting:
    """One run of `kamu-node export`."""

    def __init__(self, node: Node, form: str, *, overwrite: bool, progress: ProgressLine) -> None:
        self._node = node
        self._caller = node.auth.admin_caller()
        self._form = form
        self._overwrite = overwrite
        self._progress = progress

    def query_of(self, entry: DatasetEntry) -> str:
        """All rows of a dataset in the order of their offsets."""
        state = self._node.chains.state(entry.id)
        if state.schema is None:
            raise InvalidError(f"{entry.alias} has no data yet; `kamu-node pull {entry.alias}` brings it, if it can")
        offset = state.vocab.offset_column.replace('"', '""')
        return f'select * from "{entry.alias}" order by "{offset}"'

    def export(self, sql: str, target: Path, *, records_per_file: int | None) -> dict[str, Any]:
        """One file, or a folder of files with so many records each; whole under its name, or not there at all."""
        notes = unfinished(self._node)
        if records_per_file is None:
            with new_file(target, overwrite=self._overwrite, notes=notes) as path:
                parts = path.with_name("parts")
                parts.mkdir()
                records, (part,) = self._run(sql, parts, None)
                part.rename(path)
                sizes = [path.stat().st_size]
        else:
            with new_folder(target, overwrite=self._overwrite, member="part-*.*", notes=notes) as folder:
                records, files = self._run(sql, folder, records_per_file)
                sizes = [file.stat().st_size for file in files]
        told = {"path": str(target), "format": self._form, "records": records}
        return {**told, "bytes": sum(sizes), "files": len(sizes)}

    def _run(self, sql: str, folder: Path, records_per_file: int | None) -> tuple[int, list[Path]]:
        request = ExportRequest(sql, _FORMATS[self._form], folder, records_per_file)
        result: ExportResult = cancellable(
            lambda cancel: self._node.query.export(
                self._caller,
                request,
                cancel=cancel,
                origin=Origin(Door.CLI_EXPORT),
                on_progress=lambda records: self._progress.update(note=f"{records:,} records"),
            )
        )
        files = [folder / file.name for file in result.files]
        return result.records, [_as_array(file) for file in files] if self._form == "json" else files


def known_export_format(text: str) -> str:
    """Told before anything is read."""
    if text not in _FORMATS:
        raise MisuseError(f"unknown format {text!r}; there are {', '.join(_FORMATS)}")
    return text


def _as_array(lines: Path) -> Path:
    """One JSON array of what has an object per line; no more than one of them is in memory."""
    array = lines.with_suffix(".json")
    with lines.open("rb") as source, array.open("wb") as target:
        target.write(b"[")
        for number, line in enumerate(source):
            target.write((b",\n" if number else b"\n") + line.rstrip(b"\n"))
        target.write(b"\n]\n")
    lines.unlink()
    return array


def exported_line(row: dict[str, Any]) -> str:
    """The row for people."""
    where = f" in {row['files']:,} files" if row["files"] > 1 else ""
    return f"{row['path']}: {row['records']:,} record(s), {size_text(row['bytes'])}{where}"
