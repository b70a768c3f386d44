"""Patterns of files: what they match, and where the search for it ends."""

import glob
from pathlib import Path

import pytest

from kamu_assets.coordinator.ingest.errors import SourceUnreachableError, TooLargeError
from kamu_assets.coordinator.ingest.fetch import file_walk
from kamu_assets.coordinator.ingest.fetch.file_walk import FileWalk
from kamu_assets.coordinator.ingest.limits import FetchLimits

FILES = ("a.csv", ".b.csv", "x/a.csv", "x/y/a.csv", "x/y/z.txt", "x/.h/a.csv", "[x]/a.csv", "z/y/a.csv")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def found(tree: Path, pattern: str, limits: FetchLimits | None = None) -> list[str]:
    walk = FileWalk(tree, pattern, limits or FetchLimits())
    return sorted({str(path.relative_to(tree)) for path in walk.matching(Path(pattern).parts) if path.is_file()})


@pytest.mark.parametrize(
    "pattern",
    [
        "*.csv",
        "**/*.csv",
        "**",
        "x/**",
        "x/**/a.csv",
        "**/y/**/a.csv",
        "**/**/a.csv",
        "*/a.csv",
        "[!x]/*/?.csv",
        "[[]x]/*",
        "nope/*",
        "a.csv/*",
    ],
)
def test_a_pattern_matches_what_it_does_elsewhere(tree: Path, pattern: str) -> None:
    everything = glob.glob(pattern, root_dir=tree, recursive=True, include_hidden=True)  # noqa: PTH207 - the yardstick

    assert found(tree, pattern) == sorted({name for name in everything if (tree / name).is_file()})


def test_a_search_follows_no_links_to_folders(tree: Path) -> None:
    (tree / "x" / "again").symlink_to(tree)
    (tree / "link.csv").symlink_to(tree / "a.csv")

    assert found(tree, "x/**/a.csv") == ["x/.h/a.csv", "x/a.csv", "x/y/a.csv"]
    assert "link.csv" in found(tree, "**/*.csv")


def test_a_search_enters_no_made_up_file_system(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_walk, "_MADE_UP", (str(tree / "x"),))

    assert found(tree, "**/a.csv") == ["[x]/a.csv", "a.csv", "z/y/a.csv"]
    assert found(tree, "*/*/a.csv") == ["z/y/a.csv"]


def test_a_search_ends_after_so_many_files_and_folders(tree: Path) -> None:
    with pytest.raises(TooLargeError, match=r"pattern '\*\*/\*\.csv' leads through more than 5 files and folders"):
        found(tree, "**/*.csv", FetchLimits(max_entries=5))


def test_a_search_ends_at_the_deadline(tree: Path) -> None:
    with pytest.raises(SourceUnreachableError, match=r"'\*\*'.*within 0 seconds \(setting ingest.fetch_deadline_sec"):
        found(tree, "**", FetchLimits(total_seconds=0))
