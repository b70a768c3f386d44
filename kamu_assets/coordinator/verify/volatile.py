"""Functions of DataFusion that give something else each time: queries with them cannot be computed again."""

import re
from collections.abc import Sequence

from kamu_assets.odf.engine import TransformSql

# Texts, names in quotes and comments, which hold no calls.
_INERT = re.compile(
    r"""'(?:[^']|'')*' | \$(\w*)\$.*?\$\1\$ | "(?:[^"]|"")*" | `[^`]*` | --[^\n]* | /\*.*?\*/""", re.VERBOSE | re.DOTALL
)
_CALL = re.compile(r"(?<![\w.])(?:(random|uuid|now|today)\s*\(|(current_(?:date|time|timestamp))\b)", re.IGNORECASE)


def volatile_functions(transform: TransformSql) -> Sequence[str]:
    """Those that the queries call, as calls, each once."""
    texts = [_INERT.sub(" ", step.query) for step in transform.queries or ()]
    calls = [call[1] or call[2] for text in texts for call in _CALL.finditer(text)]
    return list(dict.fromkeys(f"{call.lower()}()" for call in calls))
