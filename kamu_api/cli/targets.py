"""Files and folders that commands make: whole under their name, or not there at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kamu_assets.errors import ConflictError, InvalidError
from kamu_assets.storage.files import sync_file, sync_folder, told_plainly
from kamu_assets.storage.workplaces import workplace

_EXISTS = {errno.EEXIST, errno.ENOTEMPTY}


class TargetExistsError(ConflictError):
    """Something is there already."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is already there; --overwrite replaces it")


class UnusableTargetError(InvalidError):
    """No such file or folder can be made."""


@contextmanager
def new_file(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A path to write to; at the end of the block its file has its name, after a failure nothing is left."""
    if target.is_dir():
        raise UnusableTargetError(f"{target} is a folder; name a file in it")
    if target.exists() and not target.is_file():
        raise UnusableTargetError(f"{target} is no file")
    with _place_beside(target, overwrite=overwrite) as place:
        made = place / "made"
        yield made
        sync_file(made)
        if overwrite:
            made.replace(target)
        else:
            _name_first(made, target)
        sync_folder(target.parent)


@contextmanager
def new_folder(target: Path, *, overwrite: bool = False, member: str = "*") -> Iterator[Path]:
    """The same for a folder of files; only one whose files all match `member` is replaced."""
    if target.exists() and not target.is_dir():
        raise UnusableTargetError(f"{target} is a file; name a folder")
    strange = [file.name for file in target.iterdir() if not file.match(member)] if target.is_dir() else []
    if strange:
        raise UnusableTargetError(f"{target} holds {strange[0]}, which no export has made; name another folder")
    is_empty = target.is_dir() and not any(target.iterdir())
    with _place_beside(target, overwrite=overwrite or is_empty) as place:
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


@contextmanager
def _place_beside(target: Path, *, overwrite: bool) -> Iterator[Path]:
    parent = target.absolute().parent
    if not parent.is_dir():
        raise UnusableTargetError(f"{parent} is no folder: make it first")
    if target.exists() and not overwrite:
        raise TargetExistsError(target)
    with told_plainly(parent), workplace(parent, ".kamu-node-pending") as place:
        yield place


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
