from __future__ import annotations

from pathlib import Path

import pyarrow.csv as pacsv
import pytest

from tests.bench import data
from tests.bench.__main__ import known_groups, known_workloads, main
from tests.bench.data import events


def test_a_workload_is_known_by_the_name_of_its_module() -> None:
    assert "node" in known_workloads()


def test_an_unknown_workload_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        main(["--only", "nonsense"])

    assert refusal.value.code == 2
    assert "node" in capsys.readouterr().err


def test_a_group_is_the_workloads_of_it_that_exist() -> None:
    groups = known_groups()

    assert groups["ingest"][:2] == ["w1", "w2"]
    assert set(groups["ingest"]) <= set(known_workloads())


def test_the_same_seed_gives_the_same_rows() -> None:
    assert events(1000, start=5).equals(events(1000, start=5))
    assert not events(1000, start=5).equals(events(1000, start=6))


@pytest.mark.parametrize("order", list(data.Order))
def test_files_hold_all_events_in_the_order_they_promise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: data.Order
) -> None:
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    monkeypatch.setattr(data, "_PIECE", 400)

    table = pacsv.read_csv(data.csv_file(1000, order))

    times = table["event_time"].to_pylist()
    assert sorted(table["id"].to_pylist()) == list(range(1000))
    assert (times == sorted(times)) is (order is data.Order.SORTED)
