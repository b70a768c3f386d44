"""Verification: are datasets what they say they are?"""

from typing import Annotated, Any

import typer

from kamu_api.cli.options import AsJson, Home, Names, local_node
from kamu_api.cli.output import complain, print_json, progress_bar, remark, say


def register(app: typer.Typer) -> None:
    app.command()(verify)


def verify(
    *,
    datasets: Names,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="verify what the datasets are computed from as well")
    ] = False,
    integrity: Annotated[
        bool, typer.Option("--integrity", help="hashes and rules only; derivatives are not computed again")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Check chains and files against their hashes, and compute derivatives again; exit code 1 if anything is wrong."""
    from kamu_api.cli.datasets.verifying import Verifying

    # A head that differs from the registry's is to be told, not repaired.
    with local_node(home, repair=False) as node:
        verifying = Verifying(node, integrity=integrity)
        entries, rows = verifying.chosen(datasets, recursive=recursive)
        for row in rows:
            _tell(row, quiet=as_json)
        for entry in entries:
            with progress_bar(f"verifying {entry.alias}", quiet=as_json) as progress:
                row = verifying.verify(entry, progress)
            rows.append(row)
            _tell(row, quiet=as_json)
    if as_json:
        print_json(rows)
    if any(row["result"] != "valid" for row in rows):
        raise typer.Exit(1)


def _tell(row: dict[str, Any], *, quiet: bool) -> None:
    from kamu_api.cli.datasets.verifying import verdict_lines

    if quiet:
        return
    told, remarks = verdict_lines(row)
    for line in told:
        (say if row["result"] == "valid" else complain)(line)
    for line in remarks:
        remark(line)
