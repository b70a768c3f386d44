"""JSON and GeoJSON files that hurt."""

import json
from collections.abc import Iterator
from functools import partial

from kamu_assets.coordinator.ingest.errors import (
    BadInputError,
    IngestError,
    TooLargeError,
    TypeMismatchError,
    UnsupportedColumnTypeError,
)
from kamu_assets.odf.source import ReadStep, ReadStepGeoJson, ReadStepJson, ReadStepNdGeoJson, ReadStepNdJson
from tests.support.poison import CITIES, MIB, Data, Poison, chunks, content

READ = ReadStepNdJson(schema_=CITIES)
FREE = ReadStepNdJson()
ARRAY = ReadStepJson(schema_=CITIES)
INSIDE = ReadStepJson(schema_=CITIES, sub_path="rows")
GEO = ReadStepGeoJson()
ROW = b'{"population": 1}\n'
ROWS = ROW * 2_000
DEEP = 100_000
FEATURE = b'{"type": "Feature", "properties": {"a": 1}, "geometry": %s}'
COLLECTION = b'{"type": "FeatureCollection", "features": [%s]}'


def refused(
    text: Data, words: str, *, read: ReadStep = READ, error: type[IngestError] = BadInputError, heavy: bool = False
) -> Poison:
    return Poison(read, content(text), error, words, heavy=heavy)


def taken(text: Data, records: int, *, read: ReadStep = READ) -> Poison:
    return Poison(read, content(text), None, records=records)


def too_large(text: Data, words: str, *, read: ReadStep = READ) -> Poison:
    return refused(text, words, read=read, error=TooLargeError)


def _mistyped(text: bytes, words: str) -> Poison:
    return refused(text, words, error=TypeMismatchError)


def _other_keys_per_row() -> bytes:
    return b"\n".join(json.dumps({f"k{row}_{n}": 1 for n in range(2_000)}).encode() for row in range(20))


def _array_of_arrays() -> Iterator[bytes]:
    yield b'{"skipped": ['
    for _ in range(20):
        yield b"[]," * (MIB // 3)
    yield b'[]], "rows": [{"population": 1}]}'


def _one_record_over_many_lines(megabytes: int) -> Iterator[bytes]:
    yield b'{"x": ['
    for _ in range(megabytes):
        yield b"1,\n" * (MIB // 3)
    yield b'1], "population": 1}'


CASES = {
    "json cut off": refused(ROWS + b'{"popul', "line 2001: the file ends"),
    "json garbage without a schema": refused(
        b'{"a": 1}\n{oops}\n' + b'{"a": 1}\n' * 100_000, "line 2, position 2", read=FREE
    ),
    "json no record": refused(ROWS + b"[1]\n", "line 2001: a record must be a JSON object"),
    "json only brackets": refused(b"{" * 50 + b"\n", "line 1"),
    "json 100,000 levels": too_large(b'{"city":' + b"[" * DEEP + b"]" * DEEP + b"}\n", "nested deeper than 64 levels"),
    "json 100,000 levels that never close": too_large(b'{"a":' * DEEP, "nested deeper than 64 levels"),
    "json 100,000 levels, one per line": too_large(b'{"x":' + b"[\n" * DEEP + b"]\n" * DEEP + b"}\n", "nested deeper"),
    "json 100,000 levels without a schema": too_large(
        b'{"a":' + b"[" * DEEP + b"]" * DEEP + b"}\n", "nested deeper", read=FREE
    ),
    "json array of 100,000 levels": too_large(b"[" * DEEP + b"]" * DEEP, "nested deeper", read=ARRAY),
    "json 100,000 levels beside the array": too_large(
        b'{"x": ' + b"[" * DEEP + b"]" * DEEP + b', "rows": []}', "nested deeper", read=INSIDE
    ),
    "json same key twice": taken(b'{"population": 1, "population": 1}\n', 1),
    "json same path twice": refused(b'{"rows": [], "rows": [{"population": 1}]}', "is there twice", read=INSIDE),
    "json NaN": refused(ROW + b'{"population": NaN}\n', "line 2, position 16: no JSON: NaN is not a number"),
    "json Infinity": refused(ROW + b'{"population": -Infinity}\n', "line 2"),
    "json NaN as a key": refused(b"{NaN: 1}\n", "line 1"),
    "json array with NaN": refused(b'[{"population": NaN}]', "NaN is not a number", read=ARRAY),
    "json number of 400 digits": _mistyped(b'{"population": ' + b"9" * 400 + b"}\n", "line 1, column `population`"),
    "json number of 1 MB": too_large(
        b'{"population": ' + b"9" * MIB + b"}\n", "line 1: a number of thousands of digits"
    ),
    "json number of 1 MB beside the columns": taken(b'{"x": ' + b"9" * MIB + b', "population": 1}\n', 1),
    "json array with a number of 1 MB": too_large(b"[" + b"9" * MIB + b"]", "thousands of digits", read=ARRAY),
    "json exponent without end": _mistyped(b'{"population": 1e999999999}\n', "line 1, column `population`"),
    "json lone surrogate": _mistyped(b'{"city": "\\ud800"}\n', 'line 1, column `city`: "\\ud800"'),
    "json lone surrogate behind numbers": _mistyped(
        b'{"population": 1, "country": "\\ud800"}\n', 'line 1, column `country`: "\\ud800" has half of a surrogate pair'
    ),
    "json lone surrogate as a key": refused(b'{"\\ud800": 1}\n', "", read=FREE),
    "json key of 20 MB": taken(lambda: b'{"' + b"k" * 20 * MIB + b'": 1, "population": 1}\n', 1),
    "json string of 40 MB": too_large(lambda: b'{"city": "' + b"x" * 40_000_000 + b'"}\n', "line 1: longer than"),
    "json 200,000 columns": too_large(
        lambda: b"{" + b",".join(b'"c%d":1' % n for n in range(200_000)) + b"}\n", "columns, more than 4096", read=FREE
    ),
    "json other keys in each row": too_large(_other_keys_per_row, "columns, more than 4096", read=FREE),
    "json wrong type at the end": refused(
        b'{"a": 1}\n' * 3_000 + b'{"a": {"b": [1]}}\n', "line 3001, column `a`", read=FREE, error=TypeMismatchError
    ),
    "json list that is always empty": refused(
        b'{"a": []}\n' * 2, "column `a` cannot be inferred", read=FREE, error=UnsupportedColumnTypeError
    ),
    "json UTF-16": refused('{"population": 1}'.encode("utf-16"), "the file is UTF-16LE"),
    "json array UTF-16 without mark": refused('[{"population": 1}]'.encode("utf-16-le"), "UTF-16LE", read=ARRAY),
    "json NUL": refused(b'{"city": "a\0b"}\n', "line 1: NUL byte"),
    "json escaped NUL": taken(b'{"city": "a\\u0000b"}\n', 1),
    # As in kamu, whose parser is lenient here.
    "json line breaks in a string": taken(b'{"city": "a\nb"}\n', 1),
    "json comments": refused(b'// note\n{"population": 1}\n', "line 1"),
    "json single quotes": refused(b"{'population': 1}\n", "line 1"),
    "json array cut off": refused(b'[{"population": 1},\n{"pop', "line 2", read=ARRAY),
    "json array of brackets beside the rows": Poison(INSIDE, chunks(_array_of_arrays), None, records=1, heavy=True),
    "json one record over 2 million lines": Poison(
        READ, chunks(partial(_one_record_over_many_lines, 6)), None, records=1
    ),
    "json one record over 35 million lines": Poison(
        READ,
        chunks(partial(_one_record_over_many_lines, 100)),
        TooLargeError,
        "line 1: a record longer than 33554432 bytes",
        heavy=True,
    ),
    "json record of brackets in an array": taken(
        lambda: b'[{"x": [' + b"[]," * (8 * MIB // 3) + b"1]}]", 1, read=ARRAY
    ),
    "geojson 100,000 levels": too_large(
        COLLECTION % (FEATURE % (b'{"a": ' + b"[" * DEEP + b"]" * DEEP + b"}")), "nested deeper", read=GEO
    ),
    "geojson 100,000 levels beside the features": too_large(
        b'{"x": ' + b"[" * DEEP + b"]" * DEEP + b', "features": []}', "nested deeper", read=GEO
    ),
    "geojson geometry of 40 MB": too_large(
        lambda: COLLECTION % (FEATURE % (b'{"a": "' + b"x" * 40_000_000 + b'"}')), "line 1: a value longer", read=GEO
    ),
    "geojson without an end": refused(COLLECTION[:-2] % (FEATURE % b"null"), "the file ends", read=GEO),
    "geojson lone surrogate": refused(COLLECTION % (FEATURE % b'{"a": "\\udfff"}'), "surrogate", read=GEO),
    "geojson NaN": refused(COLLECTION % (FEATURE % b'{"coordinates": [NaN, 1]}'), "NaN is not a number", read=GEO),
    "ndgeojson number of 1 MB": too_large(
        FEATURE % (b'{"a": ' + b"9" * MIB + b"}"), "thousands of digits", read=ReadStepNdGeoJson()
    ),
}
