"""Declared checks in a run: verdicts for Dagster, and nothing that could fail the run."""

from __future__ import annotations

import logging

import pytest

from kamu_assets.auth.model import Caller
from kamu_assets.defs.checker import NodeChecker
from kamu_assets.errors import UnavailableError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.quality.declared import Check
from kamu_assets.quality.judging import errored, judged
from kamu_assets.quality.model import NotNull, Severity, Unique
from kamu_assets.quality.results import QualityReport, Tally
from tests.support.heart import ADMIN, an_entry

log = logging.getLogger(__name__)
ENTRY = an_entry("checked")
HEAD = Multihash.sha3_256(b"head")
NAMES = Check("no_nulls", NotNull(columns=("name",)))
KEYS = Check("keys", Unique(columns=("id",), severity=Severity.WARN))


class Scripted:
    """A quality service that says, or raises, what it was told to."""

    def __init__(self, outcome: QualityReport | Exception) -> None:
        self._outcome = outcome

    def check(self, caller: Caller, ref: DatasetID) -> QualityReport:
        assert (caller, ref) == (ADMIN, ENTRY.id)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def checker(outcome: QualityReport | Exception) -> NodeChecker:
    return NodeChecker(quality=Scripted(outcome), caller=ADMIN)


def test_verdicts_tell_where_rows_are_and_how_serious_that_is() -> None:
    results = (judged(NAMES, Tally(2, offsets=(7, 3))), errored(KEYS, UnavailableError("nobody is there")))

    found = checker(QualityReport(ENTRY, HEAD, results)).check(ENTRY.id, log=log)

    names, keys = found["no_nulls"], found["keys"]
    assert (names.passed, names.is_error) == (False, True)
    assert {key: names.metadata[key] for key in ("failed", "offsets", "outcome")} == {
        "failed": 2,
        "offsets": "7, 3",
        "outcome": "failed",
    }
    assert (keys.passed, keys.is_error, keys.metadata["outcome"]) == (False, False, "errored")
    assert "this cannot be checked: nobody is there" in keys.description
    assert names.metadata["kamu/head"] == str(HEAD)


def test_a_document_that_is_none_is_a_verdict() -> None:
    found = checker(QualityReport(ENTRY, HEAD, problem="quality.yaml: nonsense")).check(ENTRY.id, log=log)

    assert {name: (each.passed, each.description) for name, each in found.items()} == {
        "quality": (False, "quality.yaml: nonsense")
    }


@pytest.mark.parametrize("failure", [UnavailableError("the database went away"), RuntimeError("a bug")])
def test_a_run_that_has_brought_data_does_not_fail_of_what_comes_after_it(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    assert checker(failure).check(ENTRY.id, log=log) == {}
    assert "its rows were not checked" in caplog.text
