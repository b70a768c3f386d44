import pytest

from kamu_assets.engines.sql.depth import nesting_depth


@pytest.mark.parametrize(
    ("sql", "depth"),
    [
        ("select 1", 0),
        ("select a or b or c", 2),
        ("select ((a))", 2),
        ("select (a or b) or c", 2),
        ("select a or (b or (c or d))", 5),
        ("select 1, 2 + 3, 4", 1),
        ("select x in (1, 2, 3, 4)", 2),
        ("values (1), (2), (3)", 1),
        ("select case when a then case when b then 1 end end", 2),
        ("select - - 1", 2),
        ("select ---1\n1", 0),
        ("select 'a or b or c' as \"or or or\"", 0),
        ("select 'it''s or' || 'x' /* or or ( */ -- or", 2),
        ("select $$ ((( $$", 0),
        ("select a join b join c union select 1", 3),
        (")))", 0),
        ("select forward, notes, caseload, ended", 0),
    ],
)
def test_depth_follows_brackets_and_chains(sql: str, depth: int) -> None:
    assert nesting_depth(sql) == depth


def test_long_lists_are_not_deep() -> None:
    assert nesting_depth("select x in (" + ",".join(map(str, range(100_000))) + ")") == 2
