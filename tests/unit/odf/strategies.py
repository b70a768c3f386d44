"""Any document of ODF, for properties: strategies derived from the fields of the models."""

from enum import Enum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from kamu_assets.odf import data
from kamu_assets.odf.dataset import MetadataBlock, MetadataEvent
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.multihash import Multicodec, Multihash
from kamu_assets.odf.timestamp import Timestamp

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.from_regex(r"[a-zA-Z0-9]{1,6}([-.][a-z0-9]{1,4})?", fullmatch=True)
hashes = st.builds(
    Multihash, st.sampled_from([Multicodec.SHA3_256, Multicodec.ARROW0_SHA3_256]), st.binary(max_size=32)
)
dataset_ids = st.builds(DatasetID, st.binary(min_size=32, max_size=32))
aliases = st.builds(lambda parts: DatasetAlias.parse("/".join(parts)), st.lists(names, min_size=1, max_size=2))
timestamps = st.builds(Timestamp, st.integers(-(10**20), 10**20))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
extra_attributes = st.builds(data.ExtraAttributes, st.dictionaries(texts, json_values, max_size=3))

_VALUES: dict[object, st.SearchStrategy[Any]] = {
    type(None): st.none(),
    str: texts,
    bytes: st.binary(max_size=20),
    bool: st.booleans(),
    Multihash: hashes,
    DatasetID: dataset_ids,
    DatasetAlias: aliases,
    Timestamp: timestamps,
    data.ExtraAttributes: extra_attributes,
    data.UInt64: st.integers(0, 2**64 - 1),
    data.UInt32: st.integers(0, 2**32 - 1),
    data.Int32: st.integers(-(2**31), 2**31 - 1),
}
_INTEGERS = {data.UInt64: 2**64, data.UInt32: 2**32}


def of_type(annotation: Any) -> st.SearchStrategy[Any]:
    """Any value of an annotation."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation == data.DataType:
        return data_types
    if annotation in _VALUES:
        return _VALUES[annotation]
    if origin in {Union, UnionType}:
        return st.one_of([of_type(argument) for argument in arguments])
    if origin is not None:
        return of_type(arguments[0]) if origin is Annotated else _of_generic(origin, arguments)
    return st.sampled_from(list(annotation)) if issubclass(annotation, Enum) else of_model(annotation)


def _of_generic(origin: object, arguments: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if origin is Literal:
        return st.just(arguments[0])
    assert origin is tuple
    return st.lists(of_type(arguments[0]), max_size=3).map(tuple)


@cache
def _fields(model: type[BaseModel]) -> dict[str, st.SearchStrategy[Any]]:
    return {name: _of_field(model, name, field) for name, field in model.model_fields.items()}


@st.composite
def of_model(draw: st.DrawFn, model: type[BaseModel]) -> Any:
    """Any instance of a model."""
    return model(**{name: draw(strategy) for name, strategy in _fields(model).items()})


def _of_field(model: type[BaseModel], name: str, field: FieldInfo) -> st.SearchStrategy[Any]:
    if name == "dataset_ref":
        return st.one_of(dataset_ids, aliases).map(str)
    annotation = model.__annotations__.get(name)
    if isinstance(annotation, str) or annotation is None:
        annotation = field.annotation
    optional = st.none() if type(None) in get_args(annotation) else st.nothing()
    bounded = next((of_type(kind) for kind in _INTEGERS if kind in get_args(annotation)), None)
    return optional | (bounded if bounded is not None else of_type(annotation))


_leaf_types = st.one_of(
    [
        of_model(model)
        for model in get_args(get_args(data.DataType)[0])
        if model not in {data.ListType, data.MapType, data.OptionType, data.StructType}
    ],
)


@st.composite
def _nested(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> Any:
    model = draw(st.sampled_from([data.ListType, data.MapType, data.OptionType, data.StructType]))
    if model is data.StructType:
        return data.StructType(fields=tuple(_field(draw, inner) for _ in range(draw(st.integers(0, 3)))))
    return model(
        **{
            name: draw(inner if name.endswith(("type", "inner")) else strategy)
            for name, strategy in _fields(model).items()
        },
    )


def _field(draw: st.DrawFn, inner: st.SearchStrategy[Any]) -> data.DataField:
    return data.DataField(name=draw(texts), type=draw(inner), extra=draw(st.none() | extra_attributes))


data_types = st.recursive(_leaf_types, _nested, max_leaves=4)
events: st.SearchStrategy[Any] = of_type(MetadataEvent)
blocks: st.SearchStrategy[MetadataBlock] = of_model(MetadataBlock)
