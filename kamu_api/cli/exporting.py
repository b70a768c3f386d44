"""Exports for the command line: from the rows of a query to files with their names."""

from pathlib import Path
from typing import Any

from kamu_api.cli.asking import cancellable
from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.output import ProgressLine, size_text
from kamu_api.cli.targets import new_file, new_folder
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import InvalidError
from kamu_assets.node import Node
from kamu_assets.query.exports import ExportFormat, ExportRequest, ExportResult


class Exporting:
    """One run of `kamu-node export`."""

    def __init__(self, node: Node, form: ExportFormat, *, overwrite: bool, progress: ProgressLine) -> None:
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
        if records_per_file is None:
            with new_file(target, overwrite=self._overwrite) as path:
                parts = path.with_name("parts")
                parts.mkdir()
                result = self._run(sql, parts, None)
                (parts / result.files[0].name).rename(path)
        else:
            with new_folder(target, overwrite=self._overwrite, member="part-*.*") as folder:
                result = self._run(sql, folder, records_per_file)
        return {
            "path": str(target),
            "format": self._form.value,
            "records": result.records,
            "bytes": sum(file.size for file in result.files),
            "files": len(result.files),
        }

    def _run(self, sql: str, folder: Path, records_per_file: int | None) -> ExportResult:
        request = ExportRequest(sql, self._form, folder, records_per_file)
        return cancellable(
            lambda cancel: self._node.query.export(
                self._caller,
                request,
                cancel=cancel,
                on_progress=lambda records: self._progress.update(note=f"{records:,} records"),
            )
        )


def known_export_format(text: str) -> ExportFormat:
    """Told before anything is read."""
    try:
        return ExportFormat(text)
    except ValueError as error:
        raise MisuseError(f"unknown format {text!r}; there are {', '.join(ExportFormat)}") from error


def exported_line(row: dict[str, Any]) -> str:
    """The row for people."""
    where = f" in {row['files']:,} files" if row["files"] > 1 else ""
    return f"{row['path']}: {row['records']:,} record(s), {size_text(row['bytes'])}{where}"
