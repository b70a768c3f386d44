"""Where statements end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_api.cli.query.statements import all_statements, is_complete, split_statements


@pytest.mark.parametrize(
    ("text", "done", "rest"),
    [
        ("", [], ""),
        ("select 1", [], "select 1"),
        ("select 1; select 2;", ["select 1", "select 2"], ""),
        ("select ';' ; x", ["select ';'"], " x"),
        ("select 'it''s;'; x", ["select 'it''s;'"], " x"),
        ('select "a;b"; x', ['select "a;b"'], " x"),
        ("select 1 -- no; end\n; x", ["select 1 -- no; end"], " x"),
        ("select /* ; /* ; */ ; */ 1; x", ["select /* ; /* ; */ ; */ 1"], " x"),
        ("select 'open; ", [], "select 'open; "),
        ("select /* open; ", [], "select /* open; "),
        (";;", [], ""),
        ("select 4 - 2 / 1;", ["select 4 - 2 / 1"], ""),
    ],
)
def test_semicolons_end_statements_outside_of_quotes_and_comments(text: str, done: list[str], rest: str) -> None:
    assert split_statements(text) == (done, rest)


@given(st.text(alphabet="';\"-/*\n ab"))
def test_splitting_ends_and_loses_nothing_but_semicolons_and_blanks(text: str) -> None:
    done, rest = split_statements(text)

    kept = "".join("".join([*done, rest]).split())
    assert set(kept) <= set(text)
    assert len("".join(text.split())) - len(kept) <= text.count(";")


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("select 1;\nselect 2\n", ["select 1", "select 2"]),
        ("select 1;\n-- that is all\n", ["select 1"]),
        ("-- nothing\n", []),
    ],
)
def test_the_last_statement_needs_no_semicolon(text: str, statements: list[str]) -> None:
    assert all_statements(text) == statements


@pytest.mark.parametrize(
    "text", ["", "  ", "\\q", "\\d cities", "select 1;", "select 1; -- done", "select 1; /* x */ "]
)
def test_what_the_prompt_takes(text: str) -> None:
    assert is_complete(text)


@pytest.mark.parametrize("text", ["select", "select ';'", "select 1; select", "select 1 -- ;", "select 1 /* ;"])
def test_what_goes_on_in_the_next_line(text: str) -> None:
    assert not is_complete(text)
