"""`kamu-node sql` without a query: the prompt on a terminal, statements from a pipe."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.command_line import Home

MANIFEST = """
kind: DatasetSnapshot
version: 1
content:
  name: {name}
  kind: Root
  metadata:
  - kind: AddPushSource
    sourceName: default
    read: {{kind: NdJson, ddlSchema: [city STRING, population BIGINT]}}
    merge: {{kind: Append}}
"""
_PATIENCE = 45.0
# A prompt that has taken what was typed gives the terminal's way of pasting back.
_PASTING_ENDS = b"\x1b[?2004l"
TAKEN = "<taken>"
_ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")


class Terminal:
    """A person at a terminal."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self.process = process
        self.shown = b""
        self._begun = b""

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def sees(self, text: str) -> str:
        """Wait until a text is shown; what was shown up to it is forgotten."""
        deadline = time.monotonic() + _PATIENCE
        while text.encode() not in self.shown:
            assert time.monotonic() < deadline, (text, self.shown)
            if select.select([self._descriptor], [], [], 0.2)[0]:
                self._read()
        seen, _, self.shown = self.shown.partition(text.encode())
        return seen.decode()

    def ends(self) -> int:
        return self.process.wait(_PATIENCE)

    def _read(self) -> None:
        data = self._begun + os.read(self._descriptor, 1 << 16)
        # A sequence may be cut where a reading ends.
        last = data.rfind(b"\x1b")
        end = last if last >= 0 and not _ESCAPES.match(data, last) else len(data)
        data, self._begun = data[:end], data[end:]
        # The terminal is asked where its cursor is.
        if b"\x1b[6n" in data:
            self.type("\x1b[1;1R")
        self.shown += _ESCAPES.sub(b"", data.replace(_PASTING_ENDS, TAKEN.encode()))


@contextmanager
def terminal(home: Home, *arguments: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    environment = {
        **os.environ,
        "KAMU_NODE_HOME": str(home.path / "home"),
        "TERM": "xterm",
        "COLUMNS": "120",
        "LINES": "50",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "kamu_api.cli.main", "sql", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("sql"))
    for name in ("cities", "towns.small"):
        home.ok("add", "--stdin", stdin=MANIFEST.format(name=name).encode())
    rows = b'{"city": "Oslo", "population": 700000}\n{"city": "Voss", "population": 16000}\n'
    home.ok("ingest", "cities", "--stdin", stdin=rows)
    return home


def test_questions_are_answered_one_after_the_other(home: Home) -> None:
    with terminal(home) as person:
        person.sees("sql>")
        person.type("select city\r")
        person.sees("...>")
        person.type("from cities where population > 100000;\r")
        person.sees("Oslo")
        person.sees("(1 row(s) in ")
        person.sees("sql>")

        person.type("selec 1;\r")
        person.sees("error: ")
        person.sees("sql parser error")
        person.sees("sql>")

        person.type("\\d\r")
        person.sees("towns.small")
        person.sees("sql>")
        person.type("\\d cities\r")
        person.sees("population")
        person.sees("Int64")
        person.sees("sql>")
        person.type("\\d nope\r")
        person.sees("dataset nope does not exist")
        person.sees("sql>")

        person.type("\\q\r")
        assert person.ends() == 0

    history = home.path / "home/sql_history"
    assert "+from cities where population > 100000;" in history.read_text()
    assert history.stat().st_mode & 0o077 == 0


def test_ctrl_c_cancels_the_query_and_not_the_prompt(home: Home) -> None:
    with terminal(home) as person:
        person.sees("sql>")
        person.type("select count(*) from generate_series(1, 1000000) a,\r")
        person.sees("...>")
        person.type("generate_series(1, 1000000) b;\r")
        person.sees(TAKEN)
        time.sleep(1)
        person.process.send_signal(signal.SIGINT)
        person.sees("(cancelled)")
        person.sees("sql>")

        person.type("select 40 + 2 as answer;\r")
        person.sees("42")
        person.sees("sql>")
        # Ctrl-D.
        person.type("\x04")
        assert person.ends() == 0


def test_what_was_asked_is_remembered_and_what_was_only_typed_is_not(home: Home) -> None:
    with terminal(home) as person:
        person.sees("sql>")
        person.type("select 'Ålesund' as first, 6 * 7 as answer;\r")
        person.sees("42")
        person.sees("sql>")
        person.type("select nobody wants this")
        person.sees("wants this")
        # Ctrl-C.
        person.type("\x03")
        person.sees("sql>")
        person.type("\\q\r")
        assert person.ends() == 0

    with terminal(home) as person:
        person.sees("sql>")
        # Twice up: to leave was the last that was said.
        person.type("\x1b[A")
        person.sees("\\q")
        person.type("\x1b[A")
        person.sees("as answer;")
        person.type("\r")
        person.sees("Ålesund")
        person.sees("42")
        person.type("\\q\r")
        assert person.ends() == 0


def test_names_that_are_nearly_right_are_proposed(home: Home) -> None:
    assert "did you mean cities? `kamu-node list`" in home.refusal("sql", "select * from citeis")
    told = home.run("sql", stdin=b'select * from "town.small"').told
    assert "table 'kamu.kamu.town.small' not found; did you mean towns.small?" in told


def test_statements_that_are_given_twice_make_no_sense(home: Home) -> None:
    home.write("q.sql", "\ufeffselect 1 as a;\nselect 2 as a;\n")

    assert home.ok("sql", "--script", "q.sql", "-o", "csv") == "a\n1\na\n2\n"
    assert home.json("sql", "-c", "select 3 as a") == [{"a": 3}]
    assert home.misuse("sql", "select 1", "-c", "select 2").startswith("give queries once: ")
    assert home.refusal("sql", "--script", "nope.sql") == "nope.sql: No such file or directory"


def test_names_are_completed(home: Home) -> None:
    with terminal(home) as person:
        person.sees("sql>")
        person.type("select count(*) as n from cit\t")
        person.sees("ies")
        person.type(";\r")
        person.sees("select count(*) as n from cities;")
        person.sees("(1 row(s) in ")
        person.type("\\q\r")
        assert person.ends() == 0


def test_a_pipe_may_hold_several_statements(home: Home) -> None:
    told = home.ok("sql", "-o", "csv", stdin=b"select 1 as a; -- first\nselect ';' as b;\n")

    assert told == "a\n1\nb\n;\n"


def test_the_first_statement_that_fails_ends_a_pipe(home: Home) -> None:
    done = home.run("sql", "-o", "csv", stdin=b"select 1 as a; selec 2; select 3 as c;")

    assert done.code == 1
    assert done.out == "a\n1\n"


@pytest.mark.parametrize("stdin", [b"", b"-- nothing\n", b";;"])
def test_a_pipe_without_a_query_is_told(home: Home, stdin: bytes) -> None:
    assert home.misuse("sql", stdin=stdin) == "there is no query: give one, or statements on standard input"


def test_one_file_is_for_one_answer(home: Home) -> None:
    done = home.run("sql", "select 1; select 2", "--output-path", "a")

    assert done.code == 2
    assert done.told == "error: --output-path is for the answer to one query, not to 2\n"


def test_parquet_goes_to_a_pipe_but_not_to_a_terminal(home: Home) -> None:
    command = [sys.executable, "-m", "kamu_api.cli.main", "sql", "select 1 as a", "-o", "parquet"]
    environment = {**os.environ, "KAMU_NODE_HOME": str(home.path / "home")}

    done = subprocess.run(command, env=environment, capture_output=True, check=True)

    assert done.stdout[:4] == done.stdout[-4:] == b"PAR1"
    with terminal(home, "select 1 as a", "-o", "parquet") as person:
        person.sees("name a file with --output-path")
        assert person.ends() == 1
