"""Columns whose values name objects that belong to the dataset as its slices do (ODF: `ObjectLink`)."""

from collections.abc import Mapping

from kamu_assets.odf.data import DataField, DataSchema

TYPE = "opendatafabric.org/type"
MULTIHASH = "Multihash"


def object_links(schema: DataSchema | None) -> Mapping[str, str]:
    """Each such column, and how its values name objects."""
    fields = schema.fields if schema else ()
    return {field.name: kind for field in fields if (kind := _link_kind(field)) is not None}


def _link_kind(field: DataField) -> str | None:
    said = field.extra.get(TYPE) if field.extra else None
    if not isinstance(said, dict) or said.get("kind") != "ObjectLink":
        return None
    link = said.get("linkType")
    return str(link.get("kind")) if isinstance(link, dict) else "nothing"
