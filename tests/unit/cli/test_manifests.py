"""What `add` reads before it is known to be a manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamu_api.cli.datasets.manifests import ManifestFile, read_manifests
from kamu_assets.errors import InvalidError

MANIFEST = "kind: DatasetSnapshot\nversion: 1\ncontent: {{name: {}, kind: Root, metadata: []}}\n"


def read(*places: object, recursive: bool = False) -> list[ManifestFile]:
    return read_manifests([str(place) for place in places], recursive=recursive, stdin=False)


def names(files: list[ManifestFile]) -> list[str]:
    return [str(snapshot.name) for file in files for snapshot in file.snapshots]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff", "byte 0 is not UTF-8"),
        (b"# " + "\u00e9".encode() * 5_000_000, "has 8 MiB or more: no manifest is so large"),
        (b"kind: DatasetSnapshot\0", "not YAML"),
        (b"# nothing\n", "holds no manifest"),
    ],
)
def test_what_is_no_manifest_is_told_with_its_name(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "there.yaml"
    path.write_bytes(content)

    (file,) = read(path)

    assert str(file.failure).startswith(f"{path}: ")
    assert told in str(file.failure)
    assert names([file]) == []


def test_an_endless_file_is_refused() -> None:
    (file,) = read("/dev/zero")

    assert str(file.failure).startswith("/dev/zero: has 8 MiB or more")


def test_bad_files_leave_others_alone(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MANIFEST.format("a"))
    (tmp_path / "b.yaml").write_text(MANIFEST.format("b") + "---\nkind: Nope\n")

    files = read(tmp_path / "a.yaml", tmp_path / "b.yaml", tmp_path / "c.yaml")

    assert names(files) == ["a"]
    assert [file.name for file in files if file.failure] == [f"{tmp_path}/b.yaml", f"{tmp_path}/c.yaml"]


def test_folders_are_searched_for_manifests_among_other_files(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below/a.yml").write_text(MANIFEST.format("a"))
    (tmp_path / "other.yaml").write_text("a: 1\n")
    (tmp_path / "raw.yaml").write_bytes(b"\xff")
    (tmp_path / "text.txt").write_text(MANIFEST.format("b"))

    assert names(read(tmp_path, tmp_path / "below/a.yml", recursive=True)) == ["a"]
    assert "use --recursive" in str(read(tmp_path)[0].failure)


def test_a_folder_without_manifests_is_told(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("a: 1\n")

    (file,) = read(tmp_path, recursive=True)

    assert str(file.failure).startswith(f"{tmp_path}: holds no manifests")


@pytest.mark.parametrize("url", ["https://example.com/a.yaml", "file:///a.yaml", "S3://bucket/a.yaml"])
def test_urls_are_refused_with_a_reason(url: str) -> None:
    (file,) = read(url)

    assert str(file.failure).startswith(f"{url}: manifests are not fetched from elsewhere")


def test_nothing_to_read_is_refused() -> None:
    with pytest.raises(InvalidError, match="name manifest files, or use --stdin"):
        read()
