"""Our verdicts on what kamu computed, and on what was tampered with after that, are kamu's."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from kamu_assets.coordinator.service import Coordinator
from kamu_assets.coordinator.verify.model import VerificationReport
from kamu_assets.odf.identity import DatasetAlias
from tests.conformance.cases import Status, run_cases
from tests.conformance.exclusions import Exclusions
from tests.conformance.verdicts import exceptions, verdict_cases
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, open_heart
from tests.support.reference import reference_folder
from tests.support.verdicts import recorded_states

RECORDED = reference_folder() / "odf/recorded"
STATES = {state.name: state for state in recorded_states(RECORDED)}


@pytest.mark.parametrize("state", sorted(STATES))
def test_verdicts(state: str) -> None:
    cases = [case for case in verdict_cases(RECORDED) if case.subject.startswith(f"{state}/")]

    results = run_cases(cases, Exclusions(()))

    assert results
    assert [f"{result.case.name}: {result.detail}" for result in results if result.status is not Status.PASSED] == []


def test_no_verdict_is_left_out() -> None:
    counted = Counter(name.startswith("tampering-") for name, state in STATES.items() for _ in state.verdicts)

    assert counted == {False: 249, True: 76}


def test_every_exception_is_one() -> None:
    verdicts = [verdict for state in STATES.values() for verdict in state.verdicts]

    for exception in exceptions():
        covered = [verdict for verdict in verdicts if fnmatchcase(verdict.subject, exception.pattern)]
        assert covered, exception.pattern
        assert all(verdict.kind != exception.ours for verdict in covered), exception.pattern
        assert exception.reason


def test_every_recorded_root_verifies_as_well(tmp_path: Path) -> None:
    """Roots that kamu was not asked about: readers, types and merges of every sort."""
    heart = open_heart(tmp_path)
    coordinator = a_coordinator(heart, base=tmp_path)

    folders = sorted(RECORDED.glob("*/dataset"))
    reports = {folder.parent.name: _adopted_and_verified(heart, coordinator, folder) for folder in folders}

    assert len(reports) > 200
    assert {name: report.faults for name, report in reports.items() if report.faults} == {}
    assert sum(report.counts.records for report in reports.values()) > 50_000


def _adopted_and_verified(heart: Heart, coordinator: Coordinator, folder: Path) -> VerificationReport:
    entry = heart.datasets.adopt(ADMIN, folder, DatasetAlias.parse(f"kamu/{folder.parent.name}"))
    return coordinator.verify(ADMIN, entry.id)
