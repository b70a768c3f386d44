"""Files and folders that commands make: whole under their name, or not there at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kamu_assets.errors import ConflictError, InvalidError
from kamu_assets.storage.files import sync_file, sync_folder, told_plainly
from kamu_assets.storage.workplaces import is_abandoned, workplace

_PENDING = ".kamu-node-pending"
_EXISTS = {errno.EEXIST, errno.ENOTEMPTY}


class TargetExistsError(ConflictError):
    """Something is there already."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is already there; --overwrite replaces it")


class UnusableTargetError(InvalidError):
    """No such file or folder can be made."""


@contextmanager
def new_file(target: Path, *, overwrite: bool = False, notes: Path | None = None) -> Iterator[Path]:
    """A path to write to; at the end of the block its file has its name, after a failure nothing is left.

    What is left when the process is killed goes with the next target in that folder, or with `sweep` of the `notes`.
    """
    if target.is_dir():
        raise UnusableTargetError(f"{target} is a folder; name a file in it")
    if target.exists() and not target.is_file():
        raise UnusableTargetError(f"{target} is no file")
    with _place_beside(target, overwrite=overwrite, notes=notes) as place:
        made = place / "made"
        yield made
        sync_file(made)
        if overwrite:
            made.replace(target)
        else:
            _name_first(made, target)
        sync_folder(target.parent)


@contextmanager
def new_folder(
    target: Path, *, overwrite: bool = False, member: str = "*", notes: Path | None = None
) -> Iterator[Path]:
    """The same for a folder of files; only one whose files all match `member` is replaced."""
    if target.exists() and not target.is_dir():
        raise UnusableTargetError(f"{target} is a file; name a folder")
    strange = [file.name for file in target.iterdir() if not file.match(member)] if target.is_dir() else []
    if strange:
        raise UnusableTargetError(f"{target} holds {strange[0]}, which no export has made; name another folder")
    is_empty = target.is_dir() and not any(target.iterdir())
    with _place_beside(target, overwrite=overwrite or is_empty, notes=notes) as place:
        made = place / "made"
        made.mkdir()
        yield made
        for file in made.iterdir():
            sync_file(file)
        sync_folder(made)
        if overwrite and target.is_dir():
            target.rename(place / "old")
        try:
            made.rename(target)
        except OSError as error:
            if error.errno in _EXISTS:
                raise TargetExistsError(target) from error
            raise
        sync_folder(target.parent)


def sweep(notes: Path) -> None:
    """Remove what killed processes left beside their targets, wherever that was."""
    for note in notes.glob("*"):
        with suppress(OSError):
            place = Path(note.read_text(encoding="utf-8"))
            if not _is_pending(place) or not place.is_dir() or is_abandoned(place, remove=True):
                note.unlink(missing_ok=True)


@contextmanager
def _place_beside(target: Path, *, overwrite: bool, notes: Path | None) -> Iterator[Path]:
    parent = target.absolute().parent
    if not parent.is_dir():
        raise UnusableTargetError(f"{parent} is no folder: make it first")
    if target.exists() and not overwrite:
        raise TargetExistsError(target)
    for place in parent.glob(f"{_PENDING}-*/"):
        is_abandoned(place, remove=True)
    with told_plainly(parent), workplace(parent, _PENDING) as place, _noted(place, notes):
        yield place


def _is_pending(place: Path) -> bool:
    return place.name.startswith(f"{_PENDING}-")


@contextmanager
def _noted(place: Path, notes: Path | None) -> Iterator[None]:
    """While it is there, the node knows of it."""
    if notes is None:
        yield
        return
    notes.mkdir(exist_ok=True)
    note = notes / place.name
    note.write_text(str(place), encoding="utf-8")
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def _name_first(made: Path, target: Path) -> None:
    """Give a file its name, unless another one has got it meanwhile."""
    try:
        os.link(made, target)
    except FileExistsError as error:
        raise TargetExistsError(target) from error
    except OSError as error:
        # Some file systems know no links.
        if target.exists():
            raise TargetExistsError(target) from error
        made.rename(target)
