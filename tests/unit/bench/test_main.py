from __future__ import annotations

import pytest

from tests.bench.__main__ import known_workloads, main


def test_a_workload_is_known_by_the_name_of_its_module() -> None:
    assert "node" in known_workloads()


def test_an_unknown_workload_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        main(["--only", "nonsense"])

    assert refusal.value.code == 2
    assert "node" in capsys.readouterr().err
