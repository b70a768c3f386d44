"""Data quality: do the rows of datasets keep what is promised of them?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Home, SomeNames, local_node
from kamu_api.cli.output import complain, print_json, print_rows, remark, warn
from kamu_assets.errors import InvalidError, KamuError

if TYPE_CHECKING:
    from kamu_assets.datasets.model import DatasetEntry
    from kamu_assets.node import Node
    from kamu_assets.quality.results import CheckResult, QualityReport


def register(app: typer.Typer) -> None:
    app.command()(check)


def check(
    *,
    datasets: SomeNames = None,
    schema: Annotated[bool, typer.Option("--schema", help="print the JSON schema of quality.yaml")] = False,
    declare: Annotated[
        Path | None,
        typer.Option("--declare", metavar="FILE", help="first have the datasets declare the rules of this file"),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    r"""Check the rules that datasets declare about their rows, and say which rows break them.

    Rules stand in an attachment of the dataset called [bold]quality.yaml[/bold], which --declare writes, as in

      version: 1
      checks:
      - {kind: NotNull, columns: \[id, name]}
      - {kind: Unique, columns: \[id], severity: warn}
      - {kind: Range, column: population, min: 0, max: 50000000}
      - {kind: RowCountChange, min: 1}

    They hold for the rows that are there now: what was retracted or corrected counts no more.

    Offsets of rows are told, never values. What is broken or cannot be checked ends in exit code 1, unless it is Warn.
    """
    if schema:
        from kamu_assets.quality.model import document_schema

        print_json(document_schema())
        return
    if not datasets:
        raise MisuseError("name a dataset or a pattern with %, or ask for the --schema of quality.yaml")
    text = None if declare is None else _text_of(declare)
    with local_node(home) as node:
        if text is not None:
            for entry in node.datasets.select(node.auth.admin_caller(), datasets):
                _declare(node, entry, text)
        reports = [_report(node, entry) for entry in node.datasets.select(node.auth.admin_caller(), datasets)]
    rows = [row for report in reports for row in _rows(report)]
    if as_json:
        print_json(rows)
    else:
        _tell(reports, rows)
    if not all(report.is_fine for report in reports):
        raise typer.Exit(1)


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InvalidError(f"{file} cannot be read: {reason}") from error


def _declare(node: "Node", entry: "DatasetEntry", text: str) -> None:
    from kamu_assets.quality.declared import declaring

    caller = node.auth.admin_caller()
    chain = node.datasets.describe(caller, entry.id).chain
    event = declaring(chain.attachments, text)
    if event != chain.attachments:
        node.coordinator.commit_event(caller, entry.id, event, expected_head=chain.head)
        remark(f"{entry.alias} declares other rules now")


def _report(node: "Node", entry: "DatasetEntry") -> "QualityReport":
    """What came of one; that it cannot be read keeps nobody from the others."""
    from kamu_api.cli.failures import failure_text
    from kamu_assets.quality.results import QualityReport

    caller = node.auth.admin_caller()
    try:
        return node.quality.check(caller, entry.id)
    except KamuError as error:
        return QualityReport(entry, node.datasets.summary(caller, entry.id).head, problem=failure_text(error))


def _rows(report: "QualityReport") -> list[dict[str, Any]]:
    name = str(report.dataset.alias)
    if report.problem is not None:
        facts = {"severity": "error", "outcome": "errored", "failed": 0, "offsets": [], "message": report.problem}
        return [{"dataset": name, "check": "quality", **facts}]
    return [_row(name, result) for result in report.results]


def _row(name: str, result: "CheckResult") -> dict[str, Any]:
    return {
        "dataset": name,
        "check": result.check.name,
        "severity": result.check.rule.severity.lower(),
        "outcome": result.outcome.value,
        "failed": result.tally.failed,
        "offsets": list(result.tally.offsets),
        "message": result.message,
    }


def _tell(reports: "list[QualityReport]", rows: list[dict[str, Any]]) -> None:
    if rows:
        shown = ("dataset", "check", "outcome", "failed")
        print_rows([{name: row[name] for name in shown} for row in rows])
    for row in rows:
        if row["outcome"] != "passed":
            (complain if row["severity"] == "error" else warn)(_line(row))
    for report in reports:
        if not report.results and report.problem is None:
            remark(f"{report.dataset.alias} declares no checks; `kamu-node check --help` says how it can")


def _line(row: dict[str, Any]) -> str:
    where = f"; the newest at offset(s) {', '.join(map(str, row['offsets']))}" if row["offsets"] else ""
    return f"{row['dataset']}: {row['check']}: {row['message']}{where}"
