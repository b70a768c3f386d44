"""Reads the manifests that `add` is given."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from kamu_api.cli.misuse import MisuseError
from kamu_assets.errors import InvalidError
from kamu_assets.odf.dataset import DatasetSnapshot
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.serde.yaml import parse_snapshots

_ENDINGS = {".yaml", ".yml"}
_MARK = b"DatasetSnapshot"
_STDIN = "standard input"
# More than any manifest has; endless files end here.
_MAX_BYTES = 8 << 20
_URL = re.compile(r"(?i)[a-z][a-z0-9+.-]*://")


class UnreadableManifestError(InvalidError):
    """A file cannot be read or is no manifest; says which one and why."""

    def __init__(self, name: str, reason: object) -> None:
        super().__init__(f"{name}: {reason}")


@dataclass(frozen=True)
class ManifestFile:
    """What one file holds, or why nothing can be made of it."""

    name: str
    snapshots: Sequence[DatasetSnapshot] = ()
    failure: UnreadableManifestError | None = None


def read_manifests(places: Sequence[str], *, recursive: bool, stdin: bool) -> list[ManifestFile]:
    """Every file that is named or, with `recursive`, lies in a folder that is named; each once, bad ones too."""
    if not places and not stdin:
        raise MisuseError("name manifest files, or use --stdin")
    found: dict[Path, ManifestFile] = {}
    for place in places:
        for path, file in _of_place(place, recursive=recursive):
            found.setdefault(path.resolve(), file)
    if stdin:
        found[Path()] = _read(_STDIN, lambda: sys.stdin.buffer.read(_MAX_BYTES))
    return list(found.values())


def renamed(files: Sequence[ManifestFile], name: str) -> list[ManifestFile]:
    """The same with another name for the one dataset there is."""
    alias = DatasetAlias.parse(name)
    count = sum(len(file.snapshots) for file in files)
    if count > 1:
        raise MisuseError(f"--name is for one manifest, not for {count}")
    return [
        replace(file, snapshots=[snapshot.model_copy(update={"name": alias}) for snapshot in file.snapshots])
        for file in files
    ]


def _of_place(place: str, *, recursive: bool) -> Iterator[tuple[Path, ManifestFile]]:
    path = Path(place)
    if _URL.match(place):
        reason = "manifests are not fetched from elsewhere: download it, look into it, then add the file"
        yield path, _bad(place, reason)
    elif not path.is_dir():
        yield path, _read(place, partial(_content, path))
    elif not recursive:
        yield path, _bad(place, "is a folder; use --recursive to search it for manifests")
    else:
        yield from _of_folder(path)


def _of_folder(folder: Path) -> Iterator[tuple[Path, ManifestFile]]:
    files = [file for file in sorted(folder.rglob("*")) if file.suffix in _ENDINGS and file.is_file()]
    # Folders hold other YAML files too.
    chosen = [file for file in files if _may_hold_manifests(file)]
    for file in chosen:
        yield file, _read(str(file), partial(_content, file))
    if not chosen:
        yield folder, _bad(str(folder), "holds no manifests: no *.yaml or *.yml with the word DatasetSnapshot")


def _may_hold_manifests(file: Path) -> bool:
    try:
        return _MARK in _content(file)
    except OSError:
        return True


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_BYTES)


def _read(name: str, read: Callable[[], bytes]) -> ManifestFile:
    try:
        snapshots = parse_snapshots(_decoded(read(), name))
    except UnreadableManifestError as error:
        return ManifestFile(name, failure=error)
    except OSError as error:
        return _bad(name, error.strerror)
    except InvalidError as error:
        return _bad(name, error)
    return ManifestFile(name, snapshots) if snapshots else _bad(name, "holds no manifest")


def _bad(name: str, reason: object) -> ManifestFile:
    return ManifestFile(name, failure=UnreadableManifestError(name, reason))


def _decoded(content: bytes, name: str) -> str:
    if len(content) == _MAX_BYTES:
        raise UnreadableManifestError(name, f"has {_MAX_BYTES >> 20} MiB or more: no manifest is so large")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableManifestError(name, f"byte {error.start} is not UTF-8") from error
