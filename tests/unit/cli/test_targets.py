"""Files and folders that commands make."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kamu_api.cli.targets import TargetExistsError, UnusableTargetError, new_file, new_folder


def left(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_file_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    with new_file(tmp_path / "a.csv") as path:
        path.write_text("1\n")
        assert not (tmp_path / "a.csv").exists()

    assert (tmp_path / "a.csv").read_text() == "1\n"
    assert left(tmp_path) == ["a.csv"]


def test_nothing_is_left_of_what_failed(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("old")

    def write_half() -> None:
        with new_file(tmp_path / "b.csv", overwrite=True) as path:
            path.write_text("1\n")
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        write_half()

    assert (tmp_path / "b.csv").read_text() == "old"
    assert left(tmp_path) == ["b.csv"]


def test_files_are_replaced_only_where_that_is_wanted(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("old")

    with pytest.raises(TargetExistsError, match="--overwrite replaces it"), new_file(target):
        pytest.fail("must not come so far")
    with new_file(target, overwrite=True) as path:
        path.write_text("new")

    assert target.read_text() == "new"


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "a.csv"

    def write_late() -> None:
        with new_file(target) as path:
            path.write_text("ours")
            target.write_text("theirs")

    with pytest.raises(TargetExistsError):
        write_late()

    assert target.read_text() == "theirs"
    assert left(tmp_path) == ["a.csv"]


def test_a_folder_has_its_name_once_it_is_whole(tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as folder:
        (folder / "part-0").write_text("1")
        assert not (tmp_path / "out").exists()

    assert left(tmp_path) == ["out", "out/part-0"]


def test_a_folder_of_parts_is_replaced_where_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/part-1").write_text("old")

    with pytest.raises(TargetExistsError), new_folder(tmp_path / "out", member="part-*"):
        pytest.fail("must not come so far")
    with new_folder(tmp_path / "out", overwrite=True, member="part-*") as folder:
        (folder / "part-0").write_text("new")

    assert left(tmp_path) == ["out", "out/part-0"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    with new_folder(tmp_path / "out", member="part-*") as folder:
        (folder / "part-0").write_text("new")

    assert left(tmp_path) == ["out", "out/part-0"]


def test_a_folder_with_other_files_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").write_text("years")

    with (
        pytest.raises(UnusableTargetError, match=r"holds thesis\.tex"),
        new_folder(tmp_path / "out", overwrite=True, member="part-*"),
    ):
        pytest.fail("must not come so far")


@pytest.mark.parametrize(("name", "told"), [("nope/a", "nope is no folder"), ("", "is a folder"), ("pipe", "no file")])
def test_places_that_take_no_file_are_told(tmp_path: Path, name: str, told: str) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UnusableTargetError, match=told), new_file(tmp_path / name, overwrite=True):
        pytest.fail("must not come so far")
