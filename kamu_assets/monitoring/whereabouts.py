"""Paths of this machine in whatever is told: they become names that users know."""

import re
import site
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

PYTHON = "<python>"
TEMPORARY = "<temp>"

_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - to be recognized, not used
# Of other machines, too: engines and their libraries tell where they were built.
_PATH = re.compile(r"(?:~|<\w+>)?+(?:/[^\s\"':,;()<>/]*+)++")
_LIBRARY = re.compile(r".*/(?:site-packages|dist-packages|\.cargo/registry/src/[^/]+)/")
_SHORTEST = 3


class PathNamer:
    """Writes a name where the path of a folder stands; what lies in the folder keeps its own."""

    def __init__(self, places: Iterable[tuple[str, Path]]) -> None:
        self._names: dict[str, str] = {}
        for name, path in (*_of_this_process(), *places):
            for form in _forms(path):
                self._names[form] = name
        longest_first = sorted(self._names, key=len, reverse=True)
        # Not within a longer path, nor within a longer name.
        self._pattern = re.compile(rf"(?<![\w.-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])")

    def rename(self, text: str) -> str:
        """The text with names instead of paths."""
        named = self._pattern.sub(lambda found: self._names[found[0]], text)
        return _PATH.sub(_without_libraries, named)


def _without_libraries(path: re.Match[str]) -> str:
    found = _LIBRARY.match(path[0])
    return path[0] if found is None else f"{PYTHON}/{path[0][found.end() :]}"


def _of_this_process() -> Iterator[tuple[str, Path]]:
    yield from ((TEMPORARY, Path(each)) for each in (*_TEMPORARY, tempfile.gettempdir()))
    yield "~", Path.home()
    yield from ((PYTHON, Path(each)) for each in (sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path) if each)
    yield from ((PYTHON, Path(each)) for each in (*sysconfig.get_paths().values(), *site.getsitepackages()))


def _forms(path: Path) -> Iterator[str]:
    """As it is written, as it really is, and as both stand in URLs."""
    for each in {str(path.absolute()), str(path.resolve())}:
        if len(each) > _SHORTEST:
            yield from (each, quote(each))
