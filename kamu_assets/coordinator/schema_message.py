"""The columns of a dataset, as engines are told."""

from functools import lru_cache

from kamu_assets.odf.data import DataSchema


# A derivative is brought up to date again and again.
@lru_cache(maxsize=256)
def schema_message(schema: DataSchema) -> bytes:
    """An Arrow message. Loads Arrow, which only processes that compute need."""
    from kamu_assets.odf.arrow_schema import to_arrow

    return bytes(to_arrow(schema).serialize())
