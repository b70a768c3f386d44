"""Asks one question after the other for the command line."""

import shutil
import sys
import threading
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final, TypeVar

from kamu_api.cli.options import unfinished
from kamu_api.cli.query.answers import is_for_people, print_answer, tell_if_cut
from kamu_api.cli.targets import new_file
from kamu_assets.errors import InvalidError
from kamu_assets.node import Node
from kamu_assets.query.exports.model import ExportFormat, ExportRequest, ExportResult
from kamu_assets.query.history.model import Door, Origin
from kamu_assets.query.model import DataFormat, QueryRequest, QueryResponse
from kamu_assets.storage.workplaces import workplace

_EXPORTED: Final = {"parquet": ExportFormat.PARQUET, "csv": ExportFormat.CSV, "ndjson": ExportFormat.NDJSON}
_ORIGIN: Final = Origin(Door.CLI_SQL)
_WAIT_SECONDS: Final = 0.1

T = TypeVar("T")


class Asking:
    """Answers go to standard output in one format."""

    def __init__(self, node: Node, form: str, *, limit: int | None) -> None:
        self._node = node
        self._caller = node.auth.admin_caller()
        self._form = form
        self._limit = limit

    def print(self, sql: str) -> int:
        """Print the answer; returns how many rows it has."""
        if self._form == "parquet":
            return self._pass_on(sql)
        answer = self._answer(sql)
        print_answer(answer, self._form)
        tell_if_cut(answer)
        return answer.num_records

    def write(self, sql: str, target: Path, *, overwrite: bool) -> int:
        """Write the answer to a file, whole or not at all; returns how many rows it has."""
        with new_file(target, overwrite=overwrite, notes=unfinished(self._node)) as path:
            if self._form in _EXPORTED:
                return self._export(sql, path)
            answer = self._answer(sql)
            with path.open("w", encoding="utf-8") as file, redirect_stdout(file):
                print_answer(answer, self._form)
            tell_if_cut(answer)
            return answer.num_records

    def _answer(self, sql: str) -> QueryResponse:
        limit = self._node.settings.query.max_rows if self._limit is None else self._limit
        keeps_nan = is_for_people(self._form)
        request = QueryRequest(sql, limit=limit, data_format=DataFormat.JSON_AOA, keeps_nan=keeps_nan)
        return cancellable(lambda cancel: self._node.query.query(self._caller, request, cancel=cancel, origin=_ORIGIN))

    def _pass_on(self, sql: str) -> int:
        """Parquet to standard output: its end is only known when all is written."""
        if sys.stdout.isatty():
            raise InvalidError("Parquet is nothing for a terminal: name a file with --output-path")
        with workplace(self._node.settings.uploads_path, "answer") as folder:
            path = folder / "answer"
            records = self._export(sql, path)
            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
        return records

    def _export(self, sql: str, path: Path) -> int:
        folder = path.with_name("parts")
        folder.mkdir()
        request = ExportRequest(sql, _EXPORTED[self._form], folder, limit=self._limit)
        result: ExportResult = cancellable(
            lambda cancel: self._node.query.export(self._caller, request, cancel=cancel, origin=_ORIGIN)
        )
        (folder / result.files[0].name).rename(path)
        return result.records


def cancellable(work: Callable[[threading.Event], T]) -> T:
    """Do what Ctrl-C cancels: the work is told, and ends in its own time."""
    cancel, outcome, failure = threading.Event(), list[T](), list[BaseException]()

    def run() -> None:
        try:
            outcome.append(work(cancel))
        except BaseException as error:  # noqa: BLE001 - raised again by the one who waits
            failure.append(error)

    thread = threading.Thread(target=run, name="query")
    thread.start()
    if _is_interrupted(thread, cancel):
        raise KeyboardInterrupt
    if failure:
        raise failure[0]
    return outcome[0]


def _is_interrupted(thread: threading.Thread, cancel: threading.Event) -> bool:
    """Wait for the end, and tell whether it was by Ctrl-C: others may cancel, too."""
    interrupted = False
    while thread.is_alive():
        try:
            thread.join(_WAIT_SECONDS)
        except KeyboardInterrupt:
            cancel.set()
            interrupted = True
    return interrupted
