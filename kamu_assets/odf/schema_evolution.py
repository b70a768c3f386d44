"""How the schema of a dataset may change, so that old data can still be read (ODF: SetDataSchema)."""

from kamu_assets.odf.chain_errors import IncompatibleSchemaError, InvalidEventError, NoOpEventError
from kamu_assets.odf.data import (
    DataField,
    DataSchema,
    DataType,
    ListType,
    MapType,
    OptionType,
    StructType,
)
from kamu_assets.odf.dataset import SetDataSchema
from kamu_assets.odf.defaults import with_defaults


def check_schema_change(previous: SetDataSchema, new: DataSchema) -> None:
    """Raise unless data of the previous schema can be read by the new one, and something is new."""
    if previous.schema_ is not None:
        check_evolution(previous.schema_, new)
    elif previous.raw_arrow_schema is not None:
        old = with_defaults(_upgraded(previous.raw_arrow_schema))
        _check_fields(old.fields, with_defaults(new).fields, path="", exact_options=False)


def check_evolution(previous: DataSchema, new: DataSchema) -> None:
    """Allowed: other order, other attributes, more optional fields. A schema that says the same is refused too."""
    previous, new = with_defaults(previous), with_defaults(new)
    if previous == new:
        raise NoOpEventError("the schema is the same as before")
    _check_fields(previous.fields, new.fields, path="", exact_options=True)


def _upgraded(raw: bytes) -> DataSchema:
    # Only old chains need Arrow, which is heavy.
    from kamu_assets.odf.arrow_schema import upgrade_legacy_schema

    return upgrade_legacy_schema(raw)


def _check_fields(
    previous: tuple[DataField, ...], new: tuple[DataField, ...], *, path: str, exact_options: bool
) -> None:
    given = {field.name: field for field in new}
    if len(given) != len(new):
        raise InvalidEventError(f"the schema has several fields of one name in {path or 'its columns'}")
    for old in previous:
        field = given.pop(old.name, None)
        if field is None:
            raise IncompatibleSchemaError(f"field {path}{old.name} was removed")
        _check_type(old.type, field.type, path=f"{path}{old.name}", exact_options=exact_options)
    for name, field in given.items():
        if not isinstance(field.type, OptionType):
            raise IncompatibleSchemaError(f"added field {path}{name} must be optional")


def _check_type(previous: DataType, new: DataType, *, path: str, exact_options: bool) -> None:
    if exact_options and isinstance(previous, OptionType) != isinstance(new, OptionType):
        raise IncompatibleSchemaError(f"field {path} changed between optional and required")
    pairs = _inner_types(_required(previous), _required(new))
    if pairs is None:
        raise IncompatibleSchemaError(f"field {path} changed its type")
    for old_inner, new_inner in pairs:
        _check_type(old_inner, new_inner, path=f"{path}[]", exact_options=exact_options)
    match _required(previous), _required(new):
        case StructType(fields=old_fields), StructType(fields=new_fields):
            _check_fields(old_fields, new_fields, path=f"{path}.", exact_options=exact_options)


def _required(type_: DataType) -> DataType:
    return type_.inner if isinstance(type_, OptionType) else type_


def _inner_types(previous: DataType, new: DataType) -> list[tuple[DataType, DataType]] | None:
    """Pairs of contained types still to compare; None when already the outer types differ."""
    match previous, new:
        case StructType(), StructType():
            return []
        case ListType(), ListType() if previous.fixed_length == new.fixed_length:
            return [(previous.item_type, new.item_type)]
        case MapType(), MapType():
            return [(previous.key_type, new.key_type), (previous.value_type, new.value_type)]
        case OptionType(), OptionType():
            return [(previous.inner, new.inner)]
        case _:
            return [] if previous == new else None
