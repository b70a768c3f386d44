"""Trials of messy JSON."""

import gzip
from typing import Any

import pytest

from kamu_assets.coordinator.ingest.errors import (
    IncompatibleSchemaError,
    TooLargeError,
    TypeMismatchError,
    UnsupportedColumnTypeError,
)
from kamu_assets.odf.data import DecimalType, Int64Type, ListType, OptionType, StringType
from kamu_assets.odf.source import ReadStepNdJson
from tests.support.pushed import NewRoot, columns

FREE = ReadStepNdJson()
LINE = b'{"n": 1}\n'
LONG = b'{"s": "' + b"x" * 12_000_000 + b'", "n": 2}\n'


def test_a_list_that_is_always_empty_must_be_declared(root: NewRoot) -> None:  # JS-01
    dataset = root(FREE)

    with pytest.raises(UnsupportedColumnTypeError, match=r"type of column `items` cannot be inferred.*declare it"):
        dataset.push(b'{"items": []}\n' * 2)


def test_objects_without_keys_must_be_declared(root: NewRoot) -> None:  # JS-01
    with pytest.raises(UnsupportedColumnTypeError, match=r"type of column `o` cannot be inferred.*declare it"):
        root(FREE).push(b'{"o": {}}\n' * 2)


def test_a_negative_scale_is_refused(root: NewRoot) -> None:
    with pytest.raises(UnsupportedColumnTypeError, match=r"column `v` has type .*; the scale must be between"):
        root(ReadStepNdJson(schema_=columns(v=DecimalType(precision=5, scale=-2)))).push(b'{"v": 100}\n')


def test_a_declared_list_may_be_empty(root: NewRoot) -> None:  # JS-01
    items = ListType(item_type=OptionType(inner=Int64Type()))
    dataset = root(ReadStepNdJson(schema_=columns(items=items)))

    dataset.push(b'{"items": []}\n{"items": []}\n{"items": [1]}\n')

    assert dataset.rows() == [{"items": []}, {"items": []}, {"items": [1]}]


def test_an_object_may_be_null_first(root: NewRoot) -> None:  # JS-02
    dataset = root(FREE)

    dataset.push(b'{"o": null}\n{"o": {"x": 1}}\n{"o": {"y": "z"}}\n')

    assert dataset.columns() == {"o": "struct<x: int64, y: string>"}
    assert dataset.rows()[1:] == [{"o": {"x": 1, "y": None}}, {"o": {"x": None, "y": "z"}}]


@pytest.mark.parametrize("place", [0, 500, 1_000])
@pytest.mark.parametrize("read", [FREE, ReadStepNdJson(schema_=columns(n=Int64Type(), s=StringType()))])
def test_one_line_may_be_long(place: int, read: ReadStepNdJson, root: NewRoot) -> None:  # JS-04
    dataset = root(read)

    if place == 1_000 and read is FREE:
        # The types are guessed from the first thousand.
        dataset.push(LINE * place + LONG)
        assert dataset.columns() == {"n": "int64"}
    else:
        dataset.push(LINE * place + LONG + LINE * (1_000 - place))
        assert len(dataset.rows()[place]["s"]) == 12_000_000
    assert len(dataset.rows()) == 1_001


def test_a_packed_file_is_read_by_the_ending_of_its_name(root: NewRoot) -> None:  # JS-04, KD-08
    dataset = root(ReadStepNdJson(schema_=columns(n=Int64Type(), s=StringType())))

    dataset.push(gzip.compress(LINE * 500 + LONG + LINE * 500), "data.ndjson.GZ")

    assert len(dataset.rows()) == 1_001


def test_a_line_beyond_the_limit_is_refused_with_its_number(root: NewRoot) -> None:  # JS-04
    with pytest.raises(TooLargeError, match="line 501: longer than 33554432 bytes"):
        root(FREE).push(LINE * 500 + LONG.replace(b"x" * 12_000_000, b"x" * 40_000_000))


def test_a_change_of_type_is_refused_and_changes_nothing(root: NewRoot) -> None:  # JS-06
    dataset = root(FREE)
    dataset.push(b'{"foo": 1}\n')

    with pytest.raises(IncompatibleSchemaError, match="column `foo` is Int64 in the dataset, but String in the new"):
        dataset.push(b'{"foo": "one"}\n')

    assert dataset.rows() == [{"foo": 1}]


PRICES = ReadStepNdJson(schema_=columns(price=DecimalType(precision=10, scale=2)))


def test_a_price_may_be_text(root: NewRoot) -> None:  # JS-08
    dataset = root(PRICES)

    dataset.push(b'{"price": "12.50"}\n')

    assert [str(row["price"]) for row in dataset.rows()] == ["12.50"]


@pytest.mark.parametrize("price", ["n/a", "1,250.00", "1.250,00"])
def test_a_price_that_is_none_is_refused_with_its_value(price: str, root: NewRoot) -> None:  # JS-08
    with pytest.raises(TypeMismatchError) as refusal:
        root(PRICES).push(b'{"price": "12.50"}\n{"price": "%s"}\n' % price.encode())

    assert f'line 2, column `price`: "{price}" is not a valid DECIMAL(10, 2); correct it, or' in str(refusal.value)


def test_a_query_may_tolerate_such_prices(root: NewRoot) -> None:  # JS-08
    query = "SELECT try_cast(replace(price, ',', '') AS DECIMAL(10, 2)) AS price FROM input"
    dataset = root(ReadStepNdJson(schema_=columns(price=StringType())), query=query)

    dataset.push(b'{"price": "n/a"}\n{"price": "1,250.00"}\n')

    found: list[Any] = [row["price"] for row in dataset.rows()]
    assert [str(price) for price in found] == ["None", "1250.00"]
