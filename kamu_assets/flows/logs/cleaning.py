"""What users read of a flow has neither secrets nor paths of a machine in it, and calls datasets by their names."""

import re
from collections.abc import Callable, Iterable

from kamu_assets.errors import KamuError
from kamu_assets.monitoring.secrets import SecretHider
from kamu_assets.monitoring.whereabouts import PathNamer
from kamu_assets.odf.identity import DatasetID

DATA = "<data>"

# Terminals obey some of them.
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[^\S\r\n\t ]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Folders of datasets, and the steps of their runs.
_DATASET = re.compile(rf"{DATA}/(f[0-9a-f]{{68}})(?![0-9a-f])|\bds_([0-9a-f]{{68}})(?![0-9a-f])")
_LONGEST = 64 * 1024

# Gives a dataset's name, where whoever reads may know it.
NameOf = Callable[[DatasetID], str | None]


class LogCleaner:
    """Makes texts fit for users' eyes."""

    def __init__(self, *, secrets: Iterable[str], paths: PathNamer, name_of: NameOf) -> None:
        known = list(secrets)
        self._paths = paths
        # Paths are named first: secrets that look like some must be found all the same.
        self._hider = SecretHider([*known, *(paths.rename(each) for each in known)])
        self._name_of = name_of

    def clean(self, text: str) -> str:
        """The text as a user may read it."""
        named = _DATASET.sub(self._named, self._paths.rename(_CONTROL.sub("", text)))
        # Once more: a secret right before a path may have hidden where the path begins.
        shown = self._paths.rename(self._hider.hide(named))
        return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}… ({len(shown) - _LONGEST} more characters)"

    def _named(self, found: re.Match[str]) -> str:
        folder, step = found.groups()
        try:
            name = self._name_of(DatasetID.parse(f"did:odf:{folder or f'f{step}'}"))
        except KamuError:
            return found[0]
        return name or "<dataset>"
