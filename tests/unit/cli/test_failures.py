"""Failures end with what to do next."""

from pathlib import Path

import pytest

from kamu_api.cli.failures import failure_text, told
from kamu_assets.coordinator.ingest.errors import PushSourceNotFoundError, TypeMismatchError
from kamu_assets.database.errors import DatabaseBusyError, DatabaseOutdatedError
from kamu_assets.datasets.errors import DatasetNotFoundError, MissingInputsError
from kamu_assets.engines.sql.errors import InvalidQueryError
from kamu_assets.errors import KamuError
from kamu_assets.odf.identity import DatasetAlias

NOPE = DatasetAlias.parse("kamu/nope")


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (DatasetNotFoundError(NOPE), "does not exist; `kamu-node list` shows what there is"),
        (InvalidQueryError("table 'kamu.kamu.nope' not found"), "not found; `kamu-node list` shows what there is"),
        (MissingInputsError(["nope"]), "nope; add them first, or together with what reads them"),
        (DatabaseBusyError(), "for too long; try again"),
        # Those that say it themselves are left alone.
        (DatabaseOutdatedError("1", "2"), "run `kamu-node migrate`"),
        (PushSourceNotFoundError("use `kamu-node pull kamu/x`"), "use `kamu-node pull kamu/x`"),
        (TypeMismatchError("rows.csv, line 4"), "rows.csv, line 4"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, KamuError) else "",
)
def test_a_failure_says_what_to_do_next(error: KamuError, end: str) -> None:
    assert failure_text(error).endswith(end)


def test_what_the_system_refused_is_told_without_python() -> None:
    assert told(PermissionError(13, "Permission denied", "/a")) == "/a: Permission denied"
    assert told(OSError("strange")) == "strange"


def test_a_bug_is_one_line_and_a_file_with_the_details(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    text = told(KeyError("what\never"))

    (details,) = tmp_path.iterdir()
    assert text.startswith("unexpected KeyError: ")
    assert text.endswith(f"report it with {details}")
    assert "\n" not in text
    assert "KeyError" in details.read_text()
