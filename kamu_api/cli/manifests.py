"""Reads the manifests that `add` is given."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from kamu_assets.errors import InvalidError
from kamu_assets.odf.dataset import DatasetSnapshot
from kamu_assets.odf.serde.yaml import parse_snapshots

_ENDINGS = {".yaml", ".yml"}
_MARK = "DatasetSnapshot"
# More than any manifest has; endless files end here.
_MAX_BYTES = 8 << 20


class UnreadableManifestError(InvalidError):
    """A file cannot be read or is no manifest; says which one and why."""

    def __init__(self, name: str, reason: object) -> None:
        super().__init__(f"{name}: {reason}")


def read_manifests(paths: Sequence[Path], *, recursive: bool, stdin: bool) -> list[DatasetSnapshot]:
    """Every snapshot in the files, in the folders with `recursive`, and on standard input."""
    if not paths and not stdin:
        raise InvalidError("name manifest files, or use --stdin")
    found = [snapshot for path in paths for snapshot in _of_path(path, recursive=recursive)]
    if stdin:
        found += _parsed(_decoded(sys.stdin.buffer.read(_MAX_BYTES), "standard input"), "standard input")
    return found


def _of_path(path: Path, *, recursive: bool) -> Iterable[DatasetSnapshot]:
    if not path.is_dir():
        return _parsed(_text(path), str(path))
    if not recursive:
        raise UnreadableManifestError(str(path), "is a folder; use --recursive to search it for manifests")
    # Folders hold other YAML files too.
    files = [file for file in sorted(path.rglob("*")) if file.suffix in _ENDINGS and file.is_file()]
    texts = [(file, _text(file)) for file in files]
    return [snapshot for file, text in texts if _MARK in text for snapshot in _parsed(text, str(file))]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES)
    except OSError as error:
        raise UnreadableManifestError(str(path), error.strerror) from error
    return _decoded(content, str(path))


def _decoded(content: bytes, name: str) -> str:
    if len(content) == _MAX_BYTES:
        raise UnreadableManifestError(name, f"has {_MAX_BYTES >> 20} MiB or more: no manifest is so large")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableManifestError(name, f"byte {error.start} is not UTF-8") from error


def _parsed(text: str, name: str) -> list[DatasetSnapshot]:
    try:
        return parse_snapshots(text)
    except InvalidError as error:
        raise UnreadableManifestError(name, error) from error
