"""What cannot be computed exactly is refused: by construct, and by the name of the engine."""

from pathlib import Path

import pyarrow as pa
import pytest

from kamu_assets.engines.engine import InternalError, InvalidQuery
from kamu_assets.odf.engine import SqlQueryStep, TemporalTable
from tests.support.streams import Block, Derivative, Stream, execute

WINDOW = "GROUP BY TUMBLE(event_time, INTERVAL '1' HOUR)"
START = "SELECT TUMBLE_START(event_time, INTERVAL '1' HOUR) AS event_time"
JOIN = "SELECT s.event_time, t.v FROM s JOIN t FOR SYSTEM_TIME AS OF s.event_time ON s.k = t.k"
TABLE = TemporalTable(name="t", primary_key=("k",))


def answer(folder: Path, query: str | list[SqlQueryStep], *temporal: TemporalTable) -> InvalidQuery | InternalError:
    one = Stream("s", {"k": pa.string(), "q": pa.int32(), "x": pa.float64()}, [Block([{"t": 0}], 1, 1)], folder)
    two = Stream("t", {"k": pa.string(), "v": pa.int64(), "w": pa.float64()}, [Block([{"t": 0}], 1, 1)], folder)
    streams = [one, two] if any(word in str(query) for word in ("t.", " t ", "(t(")) else [one]
    found = execute(Derivative(folder, query, streams, temporal or None, engine="risingwave").request({"s": 1, "t": 1}))
    assert isinstance(found, InvalidQuery | InternalError), found
    return found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SELECT DISTINCT event_time FROM s", "DISTINCT"),
        ("SELECT event_time FROM s LIMIT 10", "LIMIT"),
        ("SELECT event_time FROM s ORDER BY q", "ORDER BY"),
        ("SELECT event_time FROM s UNION ALL SELECT event_time FROM s", "UNION"),
        ("SELECT event_time, row_number() OVER (ORDER BY q) AS n FROM s", "OVER"),
        ("SELECT event_time, count(*) AS n FROM s GROUP BY event_time", "an aggregation without a window"),
        ("SELECT event_time FROM s WHERE q IN (SELECT q FROM s)", "subquery"),
        ("SELECT s.event_time FROM s JOIN t ON s.k = t.k", "a join without a temporal table"),
        ("SELECT now() AS event_time", "now()"),
        ("SELECT event_time, random() AS r FROM s", "random()"),
        ('SELECT event_time, "uuid"() AS r FROM s', "uuid()"),
        ("SELECT event_time, CURRENT_TIMESTAMP AS r FROM s", "current_timestamp"),
        (f"{START}, approx_distinct(k) AS n FROM s {WINDOW}", "approx_distinct()"),
        (f"{START}, stddev(x) AS n FROM s {WINDOW}", "the aggregate function stddev"),
        (f"{START}, count(DISTINCT k) AS n FROM s {WINDOW}", "count with DISTINCT"),
        (f"{START}, sum(q) FILTER (WHERE q > 1) AS n FROM s {WINDOW}", "FILTER"),
        (f"{START}, first_value(q ORDER BY x) AS n FROM s {WINDOW}", "ORDER BY"),
        (f"{START}, count(k, q) AS n FROM s {WINDOW}", "count of 2 values"),
        (f"{START}, min(q) AS n FROM s {WINDOW} LIMIT 1", "LIMIT"),
        (f"{START}, k FROM s", "TUMBLE without GROUP BY"),
        (f"{START}, min(q) AS n FROM s GROUP BY TUMBLE(event_time, INTERVAL '2' HOUR)", "more than one kind of window"),
        (f"{START.replace('HOUR', 'MONTH')} FROM s {WINDOW.replace('HOUR', 'MONTH')}", "INTERVAL 1 MONTH"),
        (f"{START.replace('event_time,', 'x,')} FROM s {WINDOW.replace('event_time', 'x')}", "not the event time"),
        (f"SELECT max(q) AS q, now FROM s {WINDOW.replace('TUMBLE', 'HOP')}", "HOP"),
        (f"SELECT TUMBLE_ROWTIME(event_time, INTERVAL '1' HOUR) AS event_time FROM s {WINDOW}", "TUMBLE_ROWTIME"),
        ("SELECT event_time FROM TABLE(TUMBLE((SELECT 1), DESCRIPTOR(event_time), INTERVAL '1' HOUR))", "TABLE <name>"),
        (f"SELECT k, max(q) AS q, CAST('2020-01-01' AS TIMESTAMP) AS event_time FROM s {WINDOW}, k", "an `event_time`"),
        ("SELECT event_time + INTERVAL '1 day' AS event_time FROM s", "an `event_time`"),
        (
            f"{START}, sum(t.v) AS n FROM s JOIN t FOR SYSTEM_TIME AS OF s.event_time ON s.k = t.k {WINDOW}",
            "in one query",
        ),
        (f"{START} FROM (SELECT event_time FROM s) AS u {WINDOW}", "TUMBLE over anything but a column"),
        (
            f"{START.replace('event_time,', 'at,')} FROM s {WINDOW.replace('event_time', 'at')}",
            "TUMBLE over anything but",
        ),
        (JOIN.replace("JOIN t", "RIGHT JOIN t"), "a RIGHT JOIN"),
        (JOIN.replace("s.k = t.k", "s.k <> t.k"), "without an equation"),
        (JOIN.replace("s.k = t.k", "s.x = t.w"), "a key of double"),
        (JOIN.replace("s.k = t.k", "s.q = t.k"), "a key of int32"),
        (JOIN.replace("AS OF s.event_time", "AS OF s.x"), "not the stream's event time"),
        (JOIN.replace("SELECT s.event_time", "SELECT t.event_time"), "an `event_time`"),
        ("SELECT s.event_time, f.v FROM s, LATERAL TABLE(t(s.event_time)) AS f WHERE s.k = f.k", "the function `t`"),
        ("SELECT event_time FROM s WHERE q > 0 -- t ", None),
        ("SELECT s.event_time FROM s, t WHERE s.k = t.k", "a join without a temporal table"),
    ],
)
def test_a_construct_is_refused_by_name(tmp_path: Path, query: str, found: str | None) -> None:
    refusal = answer(tmp_path, query)

    assert isinstance(refusal, InvalidQuery)
    assert refusal.message.startswith("engine 'risingwave': ")
    assert (found or "does not lead to the output (`t`)") in refusal.message
    assert "`kamu-node engine --help`" in refusal.message


def test_a_primary_key_must_be_matched_whole(tmp_path: Path) -> None:
    refusal = answer(tmp_path, JOIN, TABLE.model_copy(update={"primary_key": ("k", "v")}))

    assert "without an equation of v " in refusal.message


def test_two_windows_in_one_transform_are_refused(tmp_path: Path) -> None:
    steps = [SqlQueryStep(alias="a", query=f"{START} FROM s {WINDOW}"), SqlQueryStep(query=f"{START} FROM a {WINDOW}")]

    assert "not the event time" in answer(tmp_path, steps).message
    steps[1] = SqlQueryStep(query="SELECT a.event_time FROM a JOIN s FOR SYSTEM_TIME AS OF a.event_time ON true")
    assert "without an equation" in answer(tmp_path, steps).message


def test_a_chain_of_two_joins_is_refused(tmp_path: Path) -> None:
    second = SqlQueryStep(
        query=JOIN.replace("FROM s", "FROM one").replace("s.", "one.").replace("one.k", "one.v").replace("t.k", "t.v")
    )

    refusal = answer(tmp_path, [SqlQueryStep(alias="one", query=JOIN), second])

    assert "more than one window or temporal join" in refusal.message


def test_mistakes_are_told_in_the_words_of_the_planner(tmp_path: Path) -> None:
    assert "No field named nope" in answer(tmp_path, "SELECT nope FROM s").message
    assert "Event time column 'event_time' was not found" in answer(tmp_path, "SELECT k FROM s").message
    assert (
        "already exists"
        in answer(tmp_path, [SqlQueryStep(alias="s", query="SELECT 1"), SqlQueryStep(query="SELECT 2")]).message
    )
    assert isinstance(answer(tmp_path, "DROP TABLE s"), InternalError)


def test_words_of_a_text_are_no_calls(tmp_path: Path) -> None:
    columns = {"now": pa.string(), "k": pa.string()}
    stream = Stream("s", columns, [Block([{"t": 0, "now": "it's now() -- TUMBLE("}], 1, 1)], tmp_path)
    derivative = Derivative(
        tmp_path, "SELECT event_time, now, 'random() TUMBLE(' AS \"uuid()\" /* HOP( */ FROM s", [stream]
    )

    derivative.all()

    assert [row["now"] for row in derivative.rows] == ["it's now() -- TUMBLE("]
