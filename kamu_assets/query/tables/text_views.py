"""Columns of texts and bytes as views: the engine leaves them where the file has them, which takes half the time.

Kamu reads datasets so, too: `describe` and `arrow_typeof` tell it.
"""

from typing import Final

import pyarrow as pa

_VIEWS: Final = {pa.string(): pa.string_view(), pa.binary(): pa.binary_view()}
_PLAIN: Final = {view: plain for plain, view in _VIEWS.items()}


def with_views(schema: pa.Schema) -> pa.Schema:
    """The same columns, for reading."""
    return pa.schema([field.with_type(_VIEWS.get(field.type, field.type)) for field in schema])


def without_views(schema: pa.Schema) -> pa.Schema:
    """The same columns, for those who are told what an answer holds."""
    return pa.schema([field.with_type(_PLAIN.get(field.type, field.type)) for field in schema])
