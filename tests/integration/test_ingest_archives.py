"""Archives as sources, unpacked in real workers: all rows or none, nothing outside, nothing left behind."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from kamu_assets.coordinator.ingest.errors import BadArchiveError, BadInputError, TooLargeError, TypeMismatchError
from kamu_assets.coordinator.ingest.limits import PrepareLimits
from kamu_assets.coordinator.results import Updated, UpToDate
from kamu_assets.engines.workers.limits import TimeLimitError, WorkerLimits
from kamu_assets.engines.workers.pool import WorkerPool
from kamu_assets.odf.source import (
    CompressionFormat,
    FetchStepFilesGlob,
    FetchStepUrl,
    PrepStepDecompress,
    ReadStepCsv,
)
from tests.support.heart import Heart, an_entry
from tests.support.poison import Data, made
from tests.support.polled import NUMBERS, Polled
from tests.support.web_source import Route, WebSource
from tests.unit.coordinator.archives import (
    a_gzip,
    a_zip,
    a_zip_of_many,
    a_zip_with_a_link,
    a_zip_with_twins,
    a_zip_with_two_names,
    zeros_gzip,
)

MIB = 1 << 20
GZIP = PrepStepDecompress(format=CompressionFormat.GZIP)
ZIP = PrepStepDecompress(format=CompressionFormat.ZIP)
WITH_HEADER = ReadStepCsv(header=True, schema_=NUMBERS.schema_)


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    limits = WorkerLimits(memory_bytes=512 * MIB, time_seconds=120)
    found = WorkerPool(name="engine", size=1, limits=limits)
    yield found
    found.close()


@pytest.fixture
def polled(heart: Heart, pool: WorkerPool, tmp_path: Path) -> Polled:
    return Polled(heart, tmp_path / "src", pool=pool)


def put(polled: Polled, data: bytes, name: str = "a.bin") -> None:
    polled.base.mkdir(exist_ok=True)
    (polled.base / name).write_bytes(data)


def outside(polled: Polled) -> set[Path]:
    """All files of the test that are no part of the node."""
    return {path for path in polled.base.parent.rglob("*") if not path.is_relative_to(polled.base.parent / "home")}


# FE-01
def test_joined_gzip_files_give_the_rows_of_all(polled: Polled) -> None:
    put(polled, a_gzip(b"n\n1\n2\n") + a_gzip(b"3\n") + bytes(64))
    polled.create(FetchStepFilesGlob(path="*"), prepare=(GZIP,), read=WITH_HEADER)

    result = polled.pull()

    assert isinstance(result, Updated)
    assert result.records == 3
    assert polled.staged() == []


# FE-01, FE-02, FE-03, FE-08
@pytest.mark.parametrize(
    ("data", "step", "words"),
    [
        (a_gzip(b"1\n") + b"garbage", GZIP, "is not gzip"),
        (a_gzip(b"1\n") + a_gzip(b"2\n")[:-4], GZIP, "cut off"),
        (a_gzip(b"1\n2\n")[:-8], GZIP, "cut off"),
        (a_zip_with_a_link("a", "/etc/passwd"), ZIP, "symbolic link"),
        (a_zip_with_twins("a.csv"), ZIP, "two entries"),
        (a_zip_with_two_names("a.csv", "b.csv"), ZIP, "differ in its name"),
        (partial(a_zip_of_many, 1_000_000), ZIP, "ingest.max_archive_entries"),
        (lambda: a_zip({"a": bytes(100 * MIB)}), ZIP, "ingest.max_unpack_ratio"),
        (partial(zeros_gzip, 100), GZIP, "ingest.max_unpack_ratio"),
    ],
)
def test_hostile_archives_change_nothing(polled: Polled, data: Data, step: PrepStepDecompress, words: str) -> None:
    put(polled, made(data))
    polled.create(FetchStepFilesGlob(path="*"), prepare=(step,))
    head, files = polled.head, outside(polled)

    with pytest.raises((BadArchiveError, TooLargeError), match=words):
        polled.pull()

    assert (polled.head, polled.state, polled.staged(), outside(polled)) == (head, None, [], files)


# FE-02
@pytest.mark.parametrize("name", ["../../x.csv", "/tmp/x.csv", "..\\..\\x.csv"])  # noqa: S108 - a hostile name
def test_an_entry_that_leads_outside_is_read_and_not_written(polled: Polled, name: str) -> None:
    put(polled, a_zip({name: b"1\n"}))
    polled.create(FetchStepFilesGlob(path="*"), prepare=(ZIP,))
    files = outside(polled)

    result = polled.pull()

    assert isinstance(result, Updated)
    assert (result.records, outside(polled), polled.staged()) == (1, files, [])


# FE-03: ten archives in one another.
def test_an_archive_in_an_archive_is_not_data(polled: Polled) -> None:
    data = b"1\n"
    for _ in range(10):
        data = a_zip({"x.zip": data})
    put(polled, data)
    polled.create(FetchStepFilesGlob(path="*"), prepare=(ZIP,))

    with pytest.raises((BadInputError, TypeMismatchError)):
        polled.pull()

    assert polled.staged() == []


# FE-03: memory does not grow with what comes out.
def test_unpacking_needs_little_memory(polled: Polled) -> None:
    put(polled, zeros_gzip(150))
    polled.create(FetchStepFilesGlob(path="*"), prepare=(GZIP, GZIP))
    polled.rules = replace(polled.rules, prepare=PrepareLimits(max_ratio=2_000))
    pool = WorkerPool(name="engine", size=1, limits=WorkerLimits(memory_bytes=64 * MIB, time_seconds=60), preload=())
    polled.pool = pool

    # What comes out is not gzip again, which is seen after all of it has been unpacked.
    with pytest.raises(BadArchiveError, match="not gzip"):
        polled.pull()

    pool.close()
    assert polled.staged() == []


def test_unpacking_has_a_time_limit(polled: Polled) -> None:
    put(polled, zeros_gzip(2) * 500)
    polled.create(FetchStepFilesGlob(path="*"), prepare=(GZIP,))
    polled.rules = replace(polled.rules, prepare=PrepareLimits(max_ratio=2_000))
    pool = WorkerPool(name="engine", size=1, limits=WorkerLimits(memory_bytes=64 * MIB, time_seconds=0.2), preload=())
    polled.pool = pool

    with pytest.raises(TimeLimitError, match=r"engine\.time_limit_seconds"):
        polled.pull()

    pool.close()
    assert polled.staged() == []


def test_an_error_names_archive_entry_and_line(polled: Polled) -> None:
    put(polled, a_zip({"d/n.csv": b"1\nx\n"}), "a.zip")
    polled.create(FetchStepFilesGlob(path="*"), prepare=(ZIP,))

    with pytest.raises(TypeMismatchError, match=r"^a\.zip, entry 'd/n\.csv', line 2, column `n`"):
        polled.pull()


def test_a_bad_archive_hurts_no_other_dataset(polled: Polled, heart: Heart, pool: WorkerPool) -> None:
    put(polled, b"no archive")
    polled.create(FetchStepFilesGlob(path="*"), prepare=(ZIP,))
    other = Polled(heart, polled.base.parent / "other", an_entry("other"), pool=pool)
    other.create(FetchStepFilesGlob(path="*"), prepare=(GZIP,))
    put(other, a_gzip(b"1\n"))

    with pytest.raises(BadArchiveError):
        polled.pull()

    assert isinstance(other.pull(), Updated)


def test_a_downloaded_archive_is_kept_packed_until_it_can_be_read(polled: Polled, web: WebSource) -> None:
    web.routes["/a.gz"] = Route(a_gzip(b"1\n")[:-3], etag='"one"')
    polled.create(FetchStepUrl(url=f"{web.url}/a.gz"), prepare=(GZIP,))
    with pytest.raises(BadArchiveError):
        polled.pull()
    with pytest.raises(BadArchiveError):
        polled.pull()
    assert [answer.status for answer in web.answers] == [200, 304]

    web.routes["/a.gz"] = Route(a_gzip(b"1\n"), etag='"two"')

    assert isinstance(polled.pull(), Updated)
    assert polled.pull() == UpToDate()
