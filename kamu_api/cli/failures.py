"""What the command line says of a failure: the words of its error, and the command that helps."""

import re

from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.errors import KamuError

_NO_TABLE = re.compile(r"table '[^']*' not found")


def failure_text(error: KamuError) -> str:
    """One message, as people at this machine can use it."""
    text = str(error)
    if isinstance(error, DatasetNotFoundError) or _NO_TABLE.match(text):
        return f"{text}; `kamu-node list` shows what there is"
    return text
