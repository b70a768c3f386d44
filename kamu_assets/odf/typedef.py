"""The base of every ODF document."""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class OdfModel(BaseModel):
    """A document of the ODF schemas: frozen, strict, camelCase on the wire, unknown fields refused."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
    )
