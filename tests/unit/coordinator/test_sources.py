"""Small rules of sources: templates, event times, media types, which source a push belongs to."""

import pytest

from kamu_assets.coordinator.ingest.errors import (
    EventTimeSourceError,
    PushSourceAmbiguousError,
    PushSourceNotFoundError,
    TemplateError,
    UnsupportedMediaTypeError,
)
from kamu_assets.coordinator.ingest.fetch.chrono_formats import parse_chrono
from kamu_assets.coordinator.ingest.fetch.event_times import event_time_of_file, event_time_of_url
from kamu_assets.coordinator.ingest.fetch.templates import fill_templates
from kamu_assets.coordinator.ingest.push.media_types import media_type_of_file, reader_for
from kamu_assets.coordinator.ingest.push.source import select_push_source
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import DataSchema
from kamu_assets.odf.dataset import AddPushSource
from kamu_assets.odf.source import (
    EventTimeSource,
    EventTimeSourceFromMetadata,
    EventTimeSourceFromPath,
    EventTimeSourceFromSystemTime,
    MergeStrategyAppend,
    ReadStepCsv,
    ReadStepJson,
    ReadStepNdJson,
    ReadStepParquet,
)
from kamu_assets.odf.timestamp import Timestamp

NOW = Timestamp.parse("2024-01-01T00:00:00Z")
THEN = Timestamp.parse("2020-02-03T04:05:06Z")
SCHEMA = DataSchema(fields=())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no template", "no template"),
        ("http://${{ env.HOST }}/${{env.PATH}}", "http://example.org/a b"),
        ("${{ env.NOPE || 'default' }}", "default"),
        ("${{ env.NOPE || env.HOST || 1 }}", "example.org"),
        ("${{ env.NOPE || 1 }}", "1"),
    ],
)
def test_templates_take_the_first_value(text: str, expected: str) -> None:
    assert fill_templates(text, {"HOST": "example.org", "PATH": "a b"}).value == expected


def test_values_of_variables_are_not_shown() -> None:
    filled = fill_templates("${{ env.A }}/${{ env.NOPE || 'b' }}?k=${{ env.C || 'd' }}", {"A": "secret", "C": "key"})

    assert filled.value == "secret/b?k=key"
    assert filled.shown == "${{ env.A }}/b?k=${{ env.C || 'd' }}"


@pytest.mark.parametrize("text", ["${{ env.NOPE }}", "${{ secrets.X }}", "${{ }}", "${{ env.HOST; rm }}"])
def test_templates_without_a_value_are_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        fill_templates(text, {})


@pytest.mark.parametrize(
    ("source", "modified", "expected"),
    [
        (None, THEN, THEN),
        (None, None, NOW),
        (EventTimeSourceFromMetadata(), THEN, THEN),
        (EventTimeSourceFromSystemTime(), THEN, NOW),
    ],
)
def test_event_time_of_urls(source: EventTimeSource | None, modified: Timestamp | None, expected: Timestamp) -> None:
    assert event_time_of_url(source, last_modified=modified, system_time=NOW) == expected


def test_event_time_of_a_url_never_comes_from_its_path() -> None:
    with pytest.raises(EventTimeSourceError):
        event_time_of_url(EventTimeSourceFromPath(pattern="(.*)"), last_modified=None, system_time=NOW)


@pytest.mark.parametrize(
    ("pattern", "form", "expected"),
    [
        (r"(\d{4}-\d\d-\d\d)", None, "2023-05-06T00:00:00Z"),
        (r"_(\d+T\d+[+]\d+)", "%Y%m%dT%H%M%S%z", "2023-05-06T05:08:09Z"),
        (r"(\d{4}-\d\d-\d\d)", "%F", "2023-05-06T00:00:00Z"),
        (r"_(\d+T\d+)", "%Y%m%dT%H%M%S", "2023-05-06T07:08:09Z"),
        # The first place that matches counts, and the group in it, whatever follows.
        (r"(\d\d)-0(?:5)-", "%y", "2023-01-01T00:00:00Z"),
        (r"^d-(.*)_|x(y)", "%-Y-%m-%e", "2023-05-06T00:00:00Z"),
    ],
)
def test_event_time_of_a_file_is_a_part_of_its_name(pattern: str, form: str | None, expected: str) -> None:
    source = EventTimeSourceFromPath(pattern=pattern, timestamp_format=form)

    found = event_time_of_file(source, name="d-2023-05-06_20230506T070809+0200.csv", system_time=NOW)

    assert found == Timestamp.parse(expected)


@pytest.mark.parametrize(
    ("pattern", "form", "words"),
    [
        ("(", None, "is not a regular expression"),
        (r"(\d{9})", None, "does not match"),
        (r"\d{4}", None, "has no group"),
        (r"(\w+)-", None, "'d' of file 'd-2023-05-06.csv' does not have the format '%Y-%m-%d'"),
        (r"(\d+)", "%H", "has no year"),
        (r"(\d+)", "%Y%f", "%f, which is not supported"),
        (r"(\d+)", "%Y%", "%, which is not supported"),
        (r"(\d+)", "%s%F", "%s, which is not supported"),
    ],
)
def test_event_times_that_cannot_be_read(pattern: str, form: str | None, words: str) -> None:
    source = EventTimeSourceFromPath(pattern=pattern, timestamp_format=form)

    with pytest.raises(EventTimeSourceError, match=words):
        event_time_of_file(source, name="d-2023-05-06.csv", system_time=NOW)


def test_a_pattern_cannot_hold_the_node_up() -> None:
    source = EventTimeSourceFromPath(pattern=r"((a+)+)+$")

    with pytest.raises(EventTimeSourceError):
        event_time_of_file(source, name="a" * 200 + "b", system_time=NOW)


@pytest.mark.parametrize(
    ("text", "form", "expected"),
    [
        ("1700000000", "%s", "2023-11-14T22:13:20Z"),
        ("2023-05-06T07:08:09.5+02:00", "%+", "2023-05-06T05:08:09.500Z"),
        ("06-May-2023 01:02:03.250 PM", "%v %I:%M:%S%.3f %P", "2023-05-06T13:02:03.250Z"),
        ("2023126 07:08 +02:00", "%Y%j %R %:z", "2023-05-06T05:08:00Z"),
        ("x", "%s", None),
        ("x", "%+", None),
    ],
)
def test_formats_are_those_of_chrono(text: str, form: str, expected: str | None) -> None:
    assert parse_chrono(text, form) == (Timestamp.parse(expected) if expected else None)


def test_another_media_type_is_read_with_the_schema_of_the_source() -> None:
    declared = ReadStepNdJson(schema_=SCHEMA)

    assert reader_for(declared, None).step is declared
    assert reader_for(declared, "application/x-ndjson").step is declared
    assert reader_for(declared, "application/json").step == ReadStepJson(schema_=SCHEMA)
    assert reader_for(declared, "application/vnd.apache.parquet").step == ReadStepParquet(schema_=SCHEMA)


def test_csv_for_another_source_has_a_header_unless_it_says_no() -> None:
    declared = ReadStepNdJson(schema_=SCHEMA)

    with_header, without = (reader_for(declared, kind) for kind in ("Text/CSV", "text/csv; header=absent"))

    assert (with_header.step, with_header.checks_header) == (ReadStepCsv(schema_=SCHEMA, header=True), True)
    assert (without.step, without.checks_header) == (ReadStepCsv(schema_=SCHEMA, header=False), False)


def test_csv_of_which_nothing_is_known_has_a_header() -> None:
    assert reader_for(ReadStepCsv(), None).step == ReadStepCsv(header=True)
    assert reader_for(ReadStepCsv(schema_=SCHEMA), None).step == ReadStepCsv(schema_=SCHEMA)
    assert reader_for(ReadStepCsv(header=False), None).step == ReadStepCsv(header=False)


@pytest.mark.parametrize("media_type", ["text/html", "", "text/csv; charset=latin-1"])
def test_other_media_types_are_refused(media_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        reader_for(ReadStepNdJson(), media_type)


def test_files_tell_their_media_type_by_their_ending() -> None:
    assert media_type_of_file("a.b.JSONL") == "application/x-ndjson"
    with pytest.raises(UnsupportedMediaTypeError, match=r"known are \.csv"):
        media_type_of_file("a.xls")


def a_chain(*names: str) -> ChainState:
    sources = {
        name: AddPushSource(source_name=name, read=ReadStepNdJson(), merge=MergeStrategyAppend()) for name in names
    }
    return ChainState(push_sources=sources)


def test_the_only_source_needs_no_name() -> None:
    assert select_push_source(a_chain("a"), None).source_name == "a"
    assert select_push_source(a_chain("a", "b"), "b").source_name == "b"


def test_sources_that_are_not_there() -> None:
    with pytest.raises(PushSourceNotFoundError):
        select_push_source(a_chain(), None)
    with pytest.raises(PushSourceNotFoundError, match="'c' not found"):
        select_push_source(a_chain("a"), "c")
    with pytest.raises(PushSourceAmbiguousError, match="a, b"):
        select_push_source(a_chain("a", "b"), None)
