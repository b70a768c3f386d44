import copy

import pytest
from pydantic import ValidationError

from kamu_assets.odf.data import (
    DataField,
    DataSchema,
    DatasetVocabulary,
    ExtraAttributes,
    OptionType,
    StringType,
    TimestampType,
    TimeUnit,
    UInt8Type,
)


@pytest.mark.parametrize("spelling", ["UInt8", "uInt8", "uint8"])
def test_a_type_is_read_in_three_spellings_and_in_the_short_form(spelling: str) -> None:
    short = DataField.model_validate({"name": "a", "type": spelling})
    long = DataField.model_validate({"name": "a", "type": {"kind": spelling}})

    assert short == long == DataField(name="a", type=UInt8Type())


def test_no_other_spelling_is_read() -> None:
    with pytest.raises(ValidationError, match="UINT8"):
        DataField.model_validate({"name": "a", "type": "UINT8"})


def test_a_schema_is_written_in_the_long_form_without_absent_fields() -> None:
    schema = DataSchema(fields=(DataField(name="a", type=OptionType(inner=TimestampType(unit=TimeUnit.SECOND))),))

    assert schema.model_dump(mode="json", by_alias=True, exclude_none=True) == {
        "fields": [{"name": "a", "type": {"kind": "Option", "inner": {"kind": "Timestamp", "unit": "Second"}}}]
    }


def test_an_unknown_field_of_a_type_is_refused() -> None:
    with pytest.raises(ValidationError, match="lenght"):
        DataField.model_validate({"name": "a", "type": {"kind": "Binary", "lenght": 3}})


def test_extra_attributes_are_equal_by_value_whatever_the_order() -> None:
    one = ExtraAttributes.parse('{"b": {"y": 1, "x": "é"}, "a": null}')
    other = ExtraAttributes({"a": None, "b": {"x": "é", "y": 1}})

    assert one == other
    assert hash(one) == hash(other)
    assert one.text == '{"a":null,"b":{"x":"é","y":1}}'


def test_extra_attributes_cannot_be_changed_from_outside() -> None:
    extra = ExtraAttributes({"list": [1]})

    extra.to_json()["list"] = []
    with pytest.raises(AttributeError):
        extra.text = "{}"

    assert extra == ExtraAttributes({"list": [1]})


def test_extra_attributes_can_be_copied() -> None:
    extra = ExtraAttributes({"list": [1]})

    assert copy.deepcopy(extra) == extra


def test_extra_attributes_must_be_an_object() -> None:
    with pytest.raises(ValueError, match="JSON object"):
        ExtraAttributes.parse("[]")


def test_a_schema_with_extra_attributes_is_hashable_and_reads_back() -> None:
    schema = DataSchema(
        fields=(DataField(name="a", type=StringType(), extra=ExtraAttributes({"k": 1})),),
        extra=ExtraAttributes({"kamu.dev/archetype": "Collection"}),
    )

    assert DataSchema.model_validate_json(schema.model_dump_json(by_alias=True)) == schema
    assert hash(schema) == hash(schema.model_copy())


def test_the_vocabulary_has_defaults() -> None:
    assert DatasetVocabulary().operation_type_column == "op"
