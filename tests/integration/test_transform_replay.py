"""Recorded derivatives, computed again over the recorded chains of their inputs: same blocks, same errors."""

from pathlib import Path

import pytest

from tests.support.reference import reference_folder
from tests.support.replay_derivatives import Recording, replay_derivative

FOLDERS = sorted((reference_folder() / "odf/recorded").glob("derivative-*/expected.json"))
RECORDINGS = {found.parent.name: Recording.load(found.parent) for found in FOLDERS}


@pytest.mark.parametrize("name", [name for name, found in RECORDINGS.items() if found.exclusion() is None])
def test_a_recorded_derivative_comes_out_the_same(name: str, tmp_path: Path) -> None:
    assert replay_derivative(RECORDINGS[name], tmp_path) == []


def test_few_recordings_are_left_out() -> None:
    reasons = [found.exclusion() for found in RECORDINGS.values()]

    assert len(reasons) - reasons.count(None) <= 7
