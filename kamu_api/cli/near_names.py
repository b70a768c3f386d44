"""What somebody may have meant who named a dataset that is not there."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.errors import InvalidError, KamuError, NotFoundError
from kamu_assets.node import Node
from kamu_assets.odf.identity import DatasetAlias

_OWN = "kamu/"
# Of queries.
_NO_TABLE = re.compile(r"table '(?:kamu\.kamu\.)?([^']*)' not found")


class DidYouMeanError(NotFoundError):
    """No dataset is called so; another one nearly is."""

    def __init__(self, error: KamuError, near: str) -> None:
        super().__init__(f"{error}; did you mean {near}? `kamu-node list` shows what there is")
        self.near = near


def with_near_name(node: Node, error: KamuError) -> KamuError:
    """The error itself, or one that names a dataset which is called nearly as the one that it misses."""
    wanted = _missed(error)
    if wanted is None:
        return error
    near = near_name(wanted, [entry.alias for entry in node.datasets.list(node.auth.admin_caller())])
    return error if near is None else DidYouMeanError(error, near)


def _missed(error: KamuError) -> DatasetAlias | None:
    if isinstance(error, DatasetNotFoundError):
        return error.ref if isinstance(error.ref, DatasetAlias) else None
    table = _NO_TABLE.match(str(error))
    try:
        return None if table is None else DatasetAlias.parse(table[1])
    except InvalidError:
        return None


def near_name(wanted: DatasetAlias, known: Sequence[DatasetAlias]) -> str | None:
    """The same name in another account, else the nearest name; as one would write it."""
    for alias in known:
        if alias.name == wanted.name:
            return _written(alias)
    written = {_written(alias).lower(): _written(alias) for alias in known}
    close = get_close_matches(str(wanted).lower().removeprefix(_OWN), written, n=1)
    return written[close[0]] if close else None


def _written(alias: DatasetAlias) -> str:
    return str(alias).removeprefix(_OWN)
