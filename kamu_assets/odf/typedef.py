"""What every ODF document and value is made of: frozen models, spelled in camelCase, told apart by `kind`."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, Strict
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from kamu_assets.errors import InvalidError

_Item = TypeVar("_Item")

# A list in a document, a tuple in the model: frozen models hold frozen values.
ListOf = Annotated[tuple[_Item, ...], Strict(strict=False)]


class OdfModel(BaseModel):
    """A document of the ODF schemas, or a part of one."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
    )


def spellings(name: str) -> tuple[str, str, str]:
    """The ways a document may spell an enum value or a kind: PascalCase, camelCase, lower case (RFC-013)."""
    return name, name[:1].lower() + name[1:], name.lower()


def by_spelling(names: tuple[str, ...]) -> dict[str, str]:
    """Every accepted spelling of the given names, with the canonical one it stands for."""
    return {spelling: name for name in names for spelling in spellings(name)}


def unknown_variant(given: object, allowed: tuple[str, ...]) -> PydanticCustomError:
    """The complaint about a kind or enum value that does not exist."""
    context = {"given": repr(given), "allowed": ", ".join(allowed)}
    return PydanticCustomError("unknown_variant", "unknown variant {given}, expected one of: {allowed}", context)


class OdfEnum(StrEnum):
    """A closed set of words; its order of declaration is the numbering of the binary form."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        names = tuple(str(member) for member in cls)
        known = by_spelling(names)

        def read(value: object) -> OdfEnum:
            if isinstance(value, cls):
                return value
            if not isinstance(value, str) or value not in known:
                raise unknown_variant(value, names)
            return cls(known[value])

        return core_schema.no_info_plain_validator_function(
            read,
            serialization=core_schema.to_string_ser_schema(),
            json_schema_input_schema=core_schema.literal_schema(list(names)),
        )


class TextValue:
    """A value that documents spell as one string: `parse` reads it, `str()` writes it."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form, or raise an `InvalidError`."""
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: object) -> TextValue:
            if isinstance(value, cls):
                return value
            if not isinstance(value, str):
                raise PydanticCustomError("string_type", "Input should be a valid string")
            try:
                return cls.parse(value)
            except InvalidError as error:
                raise PydanticCustomError("invalid_text", "{reason}", {"reason": str(error)}) from error

        return core_schema.no_info_plain_validator_function(read, serialization=core_schema.to_string_ser_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string"}


def kind_of(model: type[BaseModel]) -> str:
    """The `kind` that marks a model inside a union."""
    return str(model.model_fields["kind"].default)


class ByKind:
    """Annotation of a union of models: the member is chosen by `kind`, in any accepted spelling.

    With `short_form` a bare word stands for an object that has only a kind (RFC-016).
    """

    def __init__(self, *, short_form: bool = False) -> None:
        self._short_form = short_form

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        # A union of one member is the member itself.
        models = get_args(source) or (source,)
        members: dict[str, Any] = {kind_of(model): handler.generate_schema(model) for model in models}
        names = tuple(members)
        known = by_spelling(names)

        def canonical(value: object) -> object:
            if self._short_form and isinstance(value, str):
                value = {"kind": value}
            if not isinstance(value, Mapping):
                return value
            if "kind" not in value:
                raise PydanticCustomError("missing_kind", "missing field `kind`")
            kind = value["kind"]
            if not isinstance(kind, str) or kind not in known:
                raise unknown_variant(kind, names)
            return {**value, "kind": known[kind]}

        union = core_schema.tagged_union_schema(members, discriminator="kind", from_attributes=True)
        return core_schema.no_info_before_validator_function(canonical, union)
