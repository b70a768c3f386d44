"""Polling sources: files and a real web server, honest and not."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kamu_assets.coordinator.ingest.errors import (
    BadGlobError,
    BadUrlError,
    SourceChangedError,
    SourceNotFoundError,
    SourceUnreachableError,
    TemplateError,
    TooLargeError,
    TypeMismatchError,
    UnsupportedSchemeError,
    UnsupportedStepError,
)
from kamu_assets.coordinator.ingest.fetch.model import Fetched, FetchRequest
from kamu_assets.coordinator.ingest.fetch.steps import fetch
from kamu_assets.coordinator.ingest.limits import FetchLimits
from kamu_assets.coordinator.results import NothingToPoll, Updated, UpToDate
from kamu_assets.odf.data import DataField, DataSchema, Int64Type
from kamu_assets.odf.dataset import AddPushSource, SetPollingSource
from kamu_assets.odf.source import (
    FetchStep,
    FetchStepFilesGlob,
    FetchStepMqtt,
    FetchStepUrl,
    MergeStrategyAppend,
    PrepStepPipe,
    ReadStepCsv,
    RequestHeader,
    SourceState,
)
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import START
from tests.support.coordination import LOCAL_SERVERS, InThisProcess, a_coordinator
from tests.support.heart import ADMIN, Heart, an_entry
from tests.support.web_source import Route, WebSource

NUMBERS = ReadStepCsv(schema_=DataSchema(fields=(DataField(name="n", type=Int64Type()),)))


def get(
    step: FetchStep, tmp_path: Path, *, previous: SourceState | None = None, limits: FetchLimits | None = None
) -> Fetched | None:
    request = FetchRequest(
        previous=previous,
        system_time=START,
        folder=tmp_path,
        base=tmp_path,
        limits=limits or FetchLimits(silence_seconds=2),
        variables={"HOST": "example.org"},
        egress=LOCAL_SERVERS,
    )
    return fetch(step, request)


def test_a_tag_is_sent_back_and_spares_the_download(web: WebSource, tmp_path: Path) -> None:
    web.routes["/n.csv"] = Route(b"1\n", etag='W/"one"', last_modified="Wed, 01 Jan 2020 10:00:00 GMT")
    step = FetchStepUrl(url=f"{web.url}/n.csv", headers=(RequestHeader(name="X-Key", value="${{ env.HOST }}"),))

    first = get(step, tmp_path)
    assert first is not None
    second = get(step, tmp_path, previous=first.source_state)

    assert first.path.read_bytes() == b"1\n"
    assert first.source_state == SourceState(source_name="default", kind="odf/etag", value='W/"one"')
    assert first.source_event_time == START
    assert second is None
    assert web.requests[1]["if-none-match"] == 'W/"one"'
    assert web.requests[1]["x-key"] == "example.org"
    assert "kamu-node" in web.requests[0]["user-agent"]


def test_a_date_is_sent_back_and_is_the_event_time(web: WebSource, tmp_path: Path) -> None:
    web.routes["/n.csv"] = Route(b"1\n", last_modified="Wed, 01 Jan 2020 10:00:00 GMT")
    step = FetchStepUrl(url=f"{web.url}/n.csv")

    first = get(step, tmp_path)
    assert first is not None

    assert first.source_event_time == Timestamp.parse("2020-01-01T10:00:00Z")
    assert get(step, tmp_path, previous=first.source_state) is None
    assert web.requests[1]["if-modified-since"] == "Wed, 01 Jan 2020 10:00:00 GMT"


@pytest.mark.parametrize(
    ("route", "error", "words"),
    [
        (Route(status=404), SourceNotFoundError, "source not found"),
        (Route(status=403), SourceUnreachableError, "answered 403"),
        (Route(status=500), SourceUnreachableError, "answered 500"),
        (Route(status=304), SourceUnreachableError, "answered 304"),
        (Route(b"123", length=1000), SourceUnreachableError, "truncated"),
        (Route(b"123", chunked_without_end=True), SourceUnreachableError, "truncated"),
        (Route(redirect="/n.csv"), SourceUnreachableError, "more than 10 redirects"),
        (Route(redirect="file:///etc/passwd"), BadUrlError, "file"),
        (Route(b"1", silence_seconds=5), SourceUnreachableError, "no data for 0.2 seconds"),
        (Route(b"1" * 2000), TooLargeError, "more than 1000 bytes"),
    ],
)
def test_servers_that_fail(route: Route, error: type[Exception], words: str, web: WebSource, tmp_path: Path) -> None:
    web.routes["/n.csv"] = route

    with pytest.raises(error, match=words):
        get(FetchStepUrl(url=f"{web.url}/n.csv"), tmp_path, limits=FetchLimits(max_bytes=1000, silence_seconds=0.2))


def test_a_few_redirects_are_followed(web: WebSource, tmp_path: Path) -> None:
    web.routes |= {f"/{n}": Route(redirect=f"/{n + 1}") for n in range(5)}
    web.routes["/5"] = Route(b"7\n")

    found = get(FetchStepUrl(url=f"{web.url}/0"), tmp_path)

    assert found is not None
    assert found.path.read_bytes() == b"7\n"


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (FetchStepUrl(url="http://127.0.0.1:9/x"), SourceUnreachableError),
        (FetchStepUrl(url="gopher://x/y"), UnsupportedSchemeError),
        (FetchStepUrl(url="ftp://127.0.0.1:9/y"), SourceUnreachableError),
        (FetchStepUrl(url="no url"), BadUrlError),
        (FetchStepUrl(url="http://["), BadUrlError),
        (FetchStepUrl(url="file://host/x"), BadUrlError),
        (FetchStepUrl(url="file:///nowhere/x.csv"), SourceNotFoundError),
        (FetchStepUrl(url="file:///"), SourceNotFoundError),
        (FetchStepUrl(url="${{ env.NOPE }}"), TemplateError),
        (FetchStepFilesGlob(path="nothing/*.csv"), SourceNotFoundError),
        (FetchStepMqtt(host="x", port=1, topics=()), UnsupportedStepError),
    ],
)
def test_addresses_that_lead_nowhere(step: FetchStep, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        get(step, tmp_path)


def a_root(heart: Heart, fetch_step: FetchStep, **options: object) -> SetPollingSource:
    source = SetPollingSource(fetch=fetch_step, read=NUMBERS, merge=MergeStrategyAppend(), **options)  # type: ignore[arg-type] # fields of the model
    heart.committer.create(an_entry("numbers"), [source], system_time=START)
    return source


def test_files_of_a_pattern_come_one_by_one_until_one_is_bad(heart: Heart, tmp_path: Path) -> None:
    a_root(heart, FetchStepFilesGlob(path="src/*.csv"))
    for name, text in {"a": "1\n2\n", "b": "3\n", "c": "x\n", "d": "4\n"}.items():
        (tmp_path / "src").mkdir(exist_ok=True)
        (tmp_path / "src" / f"{name}.csv").write_text(text)
    coordinator = a_coordinator(heart, base=tmp_path)
    seen: list[Updated] = []

    with pytest.raises(TypeMismatchError, match=r"c.csv, line 1, column `n`"):
        coordinator.pull(ADMIN, an_entry("numbers").alias, on_progress=seen.append)
    (tmp_path / "src/c.csv").write_text("9\n")
    rest = coordinator.pull(ADMIN, an_entry("numbers").alias)
    again = coordinator.pull(ADMIN, an_entry("numbers").alias)

    assert [update.records for update in seen] == [2, 3]
    assert isinstance(rest, Updated)
    assert (rest.records, rest.blocks, rest.has_more) == (2, 2, False)
    assert again == UpToDate()


def test_a_folder_is_no_pattern_because_it_looks_like_one(heart: Heart, tmp_path: Path) -> None:
    base = tmp_path / "[ab]*"
    base.mkdir()
    (base / "n.csv").write_text("1\n")
    a_root(heart, FetchStepFilesGlob(path="*.csv"))

    assert isinstance(a_coordinator(heart, base=base).pull(ADMIN, an_entry("numbers").alias), Updated)


@pytest.mark.parametrize(
    "name", ["a[1].csv", "?.csv", "*.csv", "{a,b}.csv", "a%20b.csv", "a#b.csv", "a\nb.csv", "a\\b"]
)
@pytest.mark.parametrize(
    ("step", "records"), [(FetchStepFilesGlob(path="src/*"), 3), (FetchStepUrl(url="${{ env.URL }}"), 2)]
)
def test_a_file_may_have_any_name(heart: Heart, tmp_path: Path, step: FetchStep, records: int, name: str) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / name).write_text("1\n2\n")
    # Some of the names mean this one, too, when they are taken for patterns.
    (tmp_path / "src/z.csv").write_text("3\n")
    a_root(heart, step)
    variables = {"URL": f"file://{quote(str(tmp_path / 'src' / name))}"}

    result = a_coordinator(heart, base=tmp_path, variables=variables).pull(ADMIN, an_entry("numbers").alias)

    assert isinstance(result, Updated)
    assert result.records == records


class Changing(InThisProcess):
    """Somebody writes a file anew once it was read."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def run(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().run(*arguments, **options)
        finally:
            self._file.write_text("1\n3\n4\n")


@pytest.mark.parametrize("text", ["1\n2\n", "1\nx\n"], ids=["good", "bad"])
@pytest.mark.parametrize("fetched", ["url", "pattern"])
def test_a_file_that_changes_while_it_is_read_is_refused(heart: Heart, tmp_path: Path, fetched: str, text: str) -> None:
    file = tmp_path / "n.csv"
    file.write_text(text)
    a_root(heart, FetchStepFilesGlob(path="*.csv") if fetched == "pattern" else FetchStepUrl(url=f"file://{file}"))
    before = heart.chains.state(an_entry("numbers").id)

    with pytest.raises(SourceChangedError, match=r"n\.csv changed while it was read; pull again"):
        a_coordinator(heart, base=tmp_path, pool=Changing(file)).pull(ADMIN, an_entry("numbers").alias)

    assert heart.chains.state(an_entry("numbers").id).head == before.head
    again = a_coordinator(heart, base=tmp_path).pull(ADMIN, an_entry("numbers").alias)
    assert isinstance(again, Updated)
    assert again.records == 3


def test_a_name_that_is_no_text_is_refused(heart: Heart, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xff.csv")).write_text("1\n")
    a_root(heart, FetchStepFilesGlob(path="*.csv"))

    with pytest.raises(BadGlobError, match="not UTF-8"):
        a_coordinator(heart, base=tmp_path).pull(ADMIN, an_entry("numbers").alias)


def test_the_state_of_another_source_is_no_condition(heart: Heart, web: WebSource, tmp_path: Path) -> None:
    (tmp_path / "ä\n.csv").write_text("1\n")
    a_root(heart, FetchStepFilesGlob(path="*.csv"))
    coordinator = a_coordinator(heart, base=tmp_path)
    coordinator.pull(ADMIN, an_entry("numbers").alias)
    web.routes["/n.csv"] = Route(b"2\n")
    source = SetPollingSource(fetch=FetchStepUrl(url=f"{web.url}/n.csv"), read=NUMBERS, merge=MergeStrategyAppend())
    heart.committer.commit(an_entry("numbers").id, expected_head=None, events=[source], system_time=START)

    assert isinstance(coordinator.pull(ADMIN, an_entry("numbers").alias), Updated)
    assert "if-none-match" not in web.requests[0]


def test_a_pull_may_stop_after_some_files(heart: Heart, tmp_path: Path) -> None:
    a_root(heart, FetchStepFilesGlob(path="*.csv"))
    for name in "abc":
        (tmp_path / f"{name}.csv").write_text("1\n")

    result = a_coordinator(heart, base=tmp_path).pull(ADMIN, an_entry("numbers").alias, max_slices=2)

    assert isinstance(result, Updated)
    assert (result.records, result.has_more) == (2, True)


def test_a_source_without_memory_is_asked_once(heart: Heart, web: WebSource, tmp_path: Path) -> None:
    web.routes["/n.csv"] = Route(b"1\n")
    a_root(heart, FetchStepUrl(url=f"{web.url}/n.csv"))
    coordinator = a_coordinator(heart, base=tmp_path)
    alias = an_entry("numbers").alias

    assert isinstance(coordinator.pull(ADMIN, alias), Updated)
    assert coordinator.pull(ADMIN, alias) == UpToDate(uncacheable=True)
    assert isinstance(coordinator.pull(ADMIN, alias, fetch_uncacheable=True), Updated)


def test_a_watermark_does_not_make_the_source_forget(heart: Heart, tmp_path: Path) -> None:
    a_root(heart, FetchStepFilesGlob(path="*.csv"))
    (tmp_path / "a.csv").write_text("1\n")
    coordinator = a_coordinator(heart, base=tmp_path)
    alias = an_entry("numbers").alias
    coordinator.pull(ADMIN, alias)

    moved = coordinator.set_watermark(ADMIN, alias, Timestamp.parse("2100-01-01T00:00:00Z"))
    back = coordinator.set_watermark(ADMIN, alias, Timestamp.parse("2050-01-01T00:00:00Z"))
    (tmp_path / "b.csv").write_text("2\n")
    pulled = a_coordinator(heart, base=tmp_path).pull(ADMIN, alias)

    assert isinstance(moved, Updated)
    assert back == UpToDate()
    assert isinstance(pulled, Updated)
    assert pulled.records == 1


def test_steps_that_are_not_there_are_refused_by_name(heart: Heart, tmp_path: Path) -> None:
    a_root(heart, FetchStepFilesGlob(path="*.csv"), prepare=(PrepStepPipe(command=("cat",)),))

    with pytest.raises(UnsupportedStepError, match="Pipe is not supported"):
        a_coordinator(heart, base=tmp_path).pull(ADMIN, an_entry("numbers").alias)


def test_a_root_that_is_only_pushed_to_has_nothing_to_poll(heart: Heart, tmp_path: Path) -> None:
    push = AddPushSource(source_name="default", read=NUMBERS, merge=MergeStrategyAppend())
    heart.committer.create(an_entry("numbers"), [push], system_time=START)

    assert a_coordinator(heart, base=tmp_path).pull(ADMIN, an_entry("numbers").alias) == NothingToPoll()
