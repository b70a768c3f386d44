"""Prepare steps on honest, broken and hostile archives."""

import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from kamu_assets.coordinator.ingest.errors import BadArchiveError, TooLargeError, UnsupportedStepError
from kamu_assets.coordinator.ingest.limits import PrepareLimits
from kamu_assets.coordinator.ingest.prepare.steps import Prepared, PrepareRequest, check_prepare, prepare_file
from kamu_assets.odf.source import CompressionFormat, PrepStep, PrepStepDecompress, PrepStepPipe
from tests.unit.coordinator.archives import (
    a_gzip,
    a_streamed_zip,
    a_zip,
    a_zip_for_large_files,
    a_zip_of_many,
    a_zip_with_a_link,
    a_zip_with_twins,
    a_zip_with_two_names,
    zeros_gzip,
)

GZIP = PrepStepDecompress(format=CompressionFormat.GZIP)
ZIP = PrepStepDecompress(format=CompressionFormat.ZIP)
GOOD = a_gzip(b"n\n1\n")
TWO = a_zip({"z.csv": b"z", "d/": b"", "d/a.csv": b"a" * 100})


def entry(name: str) -> PrepStep:
    return PrepStepDecompress(format=CompressionFormat.ZIP, sub_path=name)


def prepared(tmp_path: Path, data: bytes, *steps: PrepStep, limits: PrepareLimits | None = None) -> Prepared:
    (tmp_path / "out").mkdir(exist_ok=True)
    path = tmp_path / "fetched"
    path.write_bytes(data)
    return prepare_file(PrepareRequest(path, "a.bin", steps, tmp_path / "out", limits or PrepareLimits()))


@pytest.mark.parametrize(
    ("data", "content"),
    [
        (GOOD, b"n\n1\n"),
        # FE-01: files joined by `cat`, and zeros at the end.
        (GOOD + a_gzip(b"2\n"), b"n\n1\n2\n"),
        (GOOD + a_gzip(b"") + a_gzip(b"2\n"), b"n\n1\n2\n"),
        (GOOD + bytes(512), b"n\n1\n"),
        (GOOD + bytes(200_000), b"n\n1\n"),
        (GOOD * 10_000, b"n\n1\n" * 10_000),
        (a_gzip(b""), b""),
        (a_gzip(bytes(5 << 20)), bytes(5 << 20)),
    ],
)
def test_gzip_gives_all_members(tmp_path: Path, data: bytes, content: bytes) -> None:
    assert prepared(tmp_path, data, GZIP).path.read_bytes() == content


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty, not gzip"),
        (b"n\n1\n", "not gzip"),
        # FE-01, FE-08: garbage, and members that end too early.
        (GOOD + b"garbage", f"follows gzip member 1 at byte {len(GOOD)} is not gzip"),
        (GOOD + bytes(10) + b"x", "is not gzip"),
        (GOOD + a_gzip(b"2\n")[:-3], rf"cut off.*from byte {len(GOOD)}"),
        (GOOD[:-8], "cut off"),
        (GOOD[:5], "cut off"),
        (GOOD[:-8] + bytes(8), "incorrect data check"),
    ],
)
def test_gzip_that_is_not_whole_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(BadArchiveError, match=words) as refused:
        prepared(tmp_path, data, GZIP)

    assert str(refused.value).startswith("a.bin: ")


@pytest.mark.parametrize(
    ("data", "step", "content"),
    [
        (TWO, ZIP, b"z"),
        (TWO, entry("d/a.csv"), b"a" * 100),
        (a_zip({"d/": b"", "d/x": b"1"}), ZIP, b"1"),
        (a_zip({"x": b"1" * 5}, method=zipfile.ZIP_STORED), ZIP, b"1" * 5),
        (b"#!/bin/sh\n" + a_zip({"x": b"1"}), ZIP, b"1"),
        (a_zip({"ä/ö.csv": b"1"}), entry("ä/ö.csv"), b"1"),
        (a_zip({"x": bytes(3 << 20)}), ZIP, bytes(3 << 20)),
        (a_zip({"x": b""}), ZIP, b""),
        (a_streamed_zip({"z": b"z", "x": b"1" * 500}), entry("x"), b"1" * 500),
        (a_zip_for_large_files({"z": b"z", "x": b"1" * 500}), entry("x"), b"1" * 500),
        (a_zip({f"{n}": b"" for n in range(70_000)} | {"x": b"1"}), entry("x"), b"1"),
    ],
)
def test_zip_gives_the_entry_of_a_name_or_the_first_file(
    tmp_path: Path, data: bytes, step: PrepStep, content: bytes
) -> None:
    assert prepared(tmp_path, data, step).path.read_bytes() == content


# FE-02: names that lead elsewhere are names only; archives that contradict themselves are refused.
@pytest.mark.parametrize("name", ["../../x.csv", "/etc/x.csv", "..\\x.csv", "C:\\x.csv", "a/../../x.csv"])
def test_an_entry_is_read_as_a_stream_whatever_its_name(tmp_path: Path, name: str) -> None:
    found = prepared(tmp_path, a_zip({name: b"1\n"}), entry(name))

    assert found.path.read_bytes() == b"1\n"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["fetched", "out", "prepared-0"]


@pytest.mark.parametrize(
    ("data", "step", "words"),
    [
        (a_zip_with_twins("a.csv"), ZIP, "two entries are called 'a.csv'"),
        (a_zip_with_twins("a.csv"), entry("a.csv"), "two entries are called 'a.csv'"),
        (a_zip_with_two_names("a.csv", "b.csv"), ZIP, "entry 'b.csv'.*differ in its name"),
        (a_zip_with_a_link("a.csv", "/etc/passwd"), ZIP, "'a.csv' is a symbolic link"),
        (TWO, entry("nope"), r"no entry 'nope'; it has 'z.csv', 'd/', 'd/a.csv'"),
        (TWO, entry("d/"), "is a folder"),
        (a_zip({}), ZIP, "no file; it has no entries"),
        (a_zip({"x": b"1"}, method=zipfile.ZIP_BZIP2), ZIP, "packed by method 12"),
        (b"", ZIP, "not a zip archive"),
        (GOOD, ZIP, "not a zip archive"),
        (TWO[:-30], ZIP, "not a zip archive, or cut off"),
        (TWO[:-1], ZIP, "cut off or damaged"),
        (TWO + b"garbage", ZIP, "something follows"),
        (TWO[20:], ZIP, "not where it says"),
        (b"PK\5\6" + bytes(18), ZIP, "has no file"),
    ],
)
def test_zip_that_is_broken_or_unclear_is_refused(tmp_path: Path, data: bytes, step: PrepStep, words: str) -> None:
    with pytest.raises(BadArchiveError, match=words):
        prepared(tmp_path, data, step)


@pytest.mark.parametrize("cut", range(len(TWO)))
def test_no_beginning_of_an_archive_passes(tmp_path: Path, cut: int) -> None:
    with pytest.raises(BadArchiveError):
        prepared(tmp_path, TWO[:cut], ZIP)


@pytest.mark.parametrize("place", range(len(TWO)))
def test_a_damaged_archive_gives_the_right_bytes_or_none(tmp_path: Path, place: int) -> None:
    data = bytearray(TWO)
    data[place] ^= 0xFF

    try:
        found = prepared(tmp_path, bytes(data), entry("d/a.csv")).path.read_bytes()
    except (BadArchiveError, TooLargeError):
        return

    assert found == b"a" * 100


# FE-03: bombs end at a limit that the message names.
@pytest.mark.parametrize(
    ("data", "step", "limits", "setting"),
    [
        (partial(zeros_gzip, 80), GZIP, PrepareLimits(), "more than 250 times its .* ingest.max_unpack_ratio"),
        (lambda: a_zip({"x": bytes(80 << 20)}), ZIP, PrepareLimits(), "ingest.max_unpack_ratio"),
        (
            partial(zeros_gzip, 3),
            GZIP,
            PrepareLimits(max_bytes=2 << 20),
            "more than 2097152 bytes .*ingest.max_unpacked",
        ),
        (
            partial(a_zip_of_many, 1_000_000),
            ZIP,
            PrepareLimits(),
            "1000000 entries, more than 100000 .*max_archive_entries",
        ),
    ],
)
def test_bombs_end_at_a_limit(
    tmp_path: Path, data: Callable[[], bytes], step: PrepStep, limits: PrepareLimits, setting: str
) -> None:
    with pytest.raises(TooLargeError, match=setting):
        prepared(tmp_path, data(), step, limits=limits)

    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) <= 65 << 20


def test_steps_are_done_in_order(tmp_path: Path) -> None:
    inner = a_zip({"x.gz": a_gzip(a_gzip(b"1\n"))})

    found = prepared(tmp_path, a_gzip(inner), GZIP, ZIP, GZIP, GZIP)

    assert found.path.read_bytes() == b"1\n"
    assert found.name == "a.bin, entry 'x.gz'"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["prepared-3"]


def test_an_archive_in_an_archive_is_not_unpacked_unasked(tmp_path: Path) -> None:
    data = b"1\n"
    for _ in range(10):
        data = a_zip({"x.zip": data})

    assert zipfile.is_zipfile(prepared(tmp_path, data, ZIP).path)


def test_commands_of_manifests_are_not_run() -> None:
    with pytest.raises(UnsupportedStepError, match="Pipe is not supported: this version of the node runs no commands"):
        check_prepare((GZIP, PrepStepPipe(command=("tr", "a", "b"))))
