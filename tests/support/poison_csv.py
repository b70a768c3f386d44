"""CSV files that hurt."""

from collections.abc import Iterator

from kamu_assets.coordinator.ingest.errors import (
    BadInputError,
    DuplicateColumnError,
    TooLargeError,
    TypeMismatchError,
)
from kamu_assets.odf.source import ReadStepCsv
from tests.support.poison import CITIES, MIB, Data, Poison, chunks, content

READ = ReadStepCsv(header=True, schema_=CITIES)
FREE = ReadStepCsv(header=True)
GUESSED = ReadStepCsv(header=True, infer_schema=True)
HEAD = b"city,population\n"
ROWS = b"a,1\n" * 2_000


def refused(text: bytes, words: str, *, read: ReadStepCsv = READ) -> Poison:
    return Poison(read, content(text), BadInputError, words)


def taken(text: Data, records: int, *, read: ReadStepCsv = READ) -> Poison:
    return Poison(read, content(text), None, records=records)


def _endless_record() -> Iterator[bytes]:
    yield HEAD + b'"'
    for _ in range(200):
        yield b"x\n" * (MIB // 2)


def _blank_lines() -> Iterator[bytes]:
    yield HEAD
    for _ in range(60):
        yield b"\n" * MIB
    yield b"a,1\n"


CASES = {
    "csv ragged": refused(HEAD + ROWS + b"b,2,3\n" + ROWS, "line 2002: expected 2 fields, found 3"),
    "csv short": refused(HEAD + ROWS + b"b\n" + ROWS, "line 2002: expected 2 fields, found 1"),
    "csv wrong type at the end": Poison(
        READ, content(HEAD + ROWS * 50 + b"b,x\n"), TypeMismatchError, 'line 100002, column `population`: "x"'
    ),
    "csv quote that never closes": refused(HEAD + b'a,1\n"b,2\n' + ROWS * 50, "line 3: unclosed quote"),
    "csv quote in the middle": taken(HEAD + b'5" pipe,1\n6" pipe,2\n', 2),
    "csv million quotes": taken(lambda: HEAD + b'"' + b'""' * 1_000_000 + b'",1\n', 1),
    "csv odd million quotes": refused(HEAD + b'"' * 1_000_001 + b",1\n", "line 2: unclosed quote"),
    "csv NUL": refused(HEAD + b"a\0,1\n" + ROWS, "line 2: NUL byte"),
    "csv invalid UTF-8": refused(HEAD + b"\xff\xfe,1\n" * 10, "line 2: byte 0xff"),
    "csv overlong UTF-8": refused(HEAD + b"\xc0\xaf,1\n", "line 2: byte 0xc0"),
    "csv surrogate in UTF-8": refused(HEAD + b"\xed\xa0\x80,1\n", "line 2: byte 0xed"),
    "csv UTF-16LE": refused("city,population\na,1\n".encode("utf-16"), "the file is UTF-16LE"),
    "csv UTF-16BE without mark": refused("city,population\na,1\n".encode("utf-16-be"), "looks like UTF-16BE"),
    "csv UTF-32": refused("city,population\na,1\n".encode("utf-32"), "the file is UTF-32LE"),
    "csv field of 40 MB": Poison(
        READ, content(lambda: HEAD + b"x" * 40_000_000 + b",1\n"), TooLargeError, "line 2: a field"
    ),
    "csv quoted field of 40 MB": Poison(
        READ, content(lambda: HEAD + b'"' + b"x" * 40_000_000 + b'",1\n'), TooLargeError, "line 2: a field longer"
    ),
    "csv endless record": Poison(READ, chunks(_endless_record), BadInputError, "line 2: unclosed quote", heavy=True),
    "csv 200,000 columns": Poison(
        FREE, content(b",".join(b"c%d" % n for n in range(200_000)) + b"\n"), TooLargeError, "200000 columns"
    ),
    "csv 200,000 columns under a schema": refused(
        HEAD + b"," * 200_000 + b"\n", "line 2: expected 2 fields, found 200001"
    ),
    "csv same name twice": Poison(FREE, content(b"a,b,a\n1,2,3\n"), DuplicateColumnError, "`a`"),
    "csv only line breaks": taken(b"\n" * MIB, 0),
    "csv 60 million blank lines": Poison(READ, chunks(_blank_lines), None, records=1, heavy=True),
    "csv line ends of CR only": taken(b"city,population\ra,1\rb,2\r", 2),
    "csv mixed line ends": taken(b"city,population\r\na,1\rb,2\nc,3", 3),
    "csv form feeds": taken(HEAD + b"\f,1\na\fb\v,2\n", 2),
    "csv byte-order mark in the middle": taken(HEAD + b"\xef\xbb\xbfa,1\n", 1),
    "csv two byte-order marks": taken(b"\xef\xbb\xbf\xef\xbb\xbf" + HEAD + b"a,1\n", 1),
    "csv only a byte-order mark": taken(b"\xef\xbb\xbf", 0),
    "csv escape at the end": refused(HEAD + b'"a\\', "line 2: unclosed quote"),
    "csv integer of 1 MB": Poison(
        READ, content(HEAD + b"a," + b"9" * MIB + b"\n"), TypeMismatchError, "line 2, column `population`"
    ),
    "csv guessed integer of 1 MB": Poison(
        GUESSED, content(b"n\n" + b"1\n" * 1_200 + b"9" * MIB + b"\n"), TypeMismatchError, "line 1202, column `n`"
    ),
    "csv formula": taken(HEAD + b"=cmd|' /C calc'!A0,1\n", 1),
    "csv terminal codes": taken(HEAD + b"\x1b]0;x\x07\x1b[2J,1\n", 1),
    "csv text turned round": taken(HEAD + "\u202egnp.exe,1\n".encode(), 1),
}
