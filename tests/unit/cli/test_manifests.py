"""What `add` reads before it is known to be a manifest."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamu_api.cli.manifests import UnreadableManifestError, read_manifests


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff", "byte 0 is not UTF-8"),
        (b"# " + "\u00e9".encode() * 5_000_000, "has 8 MiB or more: no manifest is so large"),
        (b"kind: DatasetSnapshot\0", "not YAML"),
    ],
)
def test_what_is_no_manifest_is_told_with_its_name(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "there.yaml"
    path.write_bytes(content)

    with pytest.raises(UnreadableManifestError, match=f"there.yaml: .*{told}"):
        read_manifests([path], recursive=False, stdin=False)


def test_an_endless_file_is_refused() -> None:
    with pytest.raises(UnreadableManifestError, match="/dev/zero: has 8 MiB or more"):
        read_manifests([Path("/dev/zero")], recursive=False, stdin=False)
