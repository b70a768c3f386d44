"""Numbers in JSON as Kamu's clients know them: `1e-7` where Python writes `1e-07`, `0.00001` where it writes `1e-05`.

Large ones look the same to both: `1e+21`.
"""

import re
from decimal import Decimal
from typing import Final

import pyarrow as pa
import pyarrow.types as pt

# Texts are matched as wholes, so that what looks like a number in one of them stays.
_TEXT_OR_SMALL: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|-?\d(?:\.\d+)?e-0\d')
_IN_FULL: Final = "e-05"


def holds_floats(data_type: pa.DataType) -> bool:
    """Whether there are any, however deep."""
    if pt.is_dictionary(data_type):
        return holds_floats(data_type.value_type)
    inner = [data_type.field(index).type for index in range(data_type.num_fields)]
    return bool(pt.is_floating(data_type)) or any(map(holds_floats, inner))


def with_plain_numbers(json_text: str) -> str:
    """The same document; costs nothing where there is no small number."""
    return _TEXT_OR_SMALL.sub(_plain, json_text) if "e-0" in json_text else json_text


def _plain(found: re.Match[str]) -> str:
    token = found[0]
    if token.startswith('"'):
        return token
    return f"{Decimal(token):f}" if token.endswith(_IN_FULL) else token.replace("e-0", "e-")
