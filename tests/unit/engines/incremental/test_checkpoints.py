"""State between runs: equal bytes for equal runs, and no other state is taken for it."""

from pathlib import Path

import pyarrow as pa
import pytest

from kamu_assets.engines.engine import InternalError, TransformSuccess
from kamu_assets.engines.incremental.checkpoint import State, read_state, write_state
from kamu_assets.engines.incremental.errors import CheckpointError
from kamu_assets.engines.incremental.join import SINCE
from tests.support.streams import HOUR, Block, Derivative, Stream, execute

SQL = (
    "SELECT TUMBLE_START(event_time, INTERVAL '1' HOUR) AS event_time, k, count(*) AS n, sum(x) AS x FROM s "
    "GROUP BY TUMBLE(event_time, INTERVAL '1' HOUR), k"
)
BLOCKS = [
    Block([{"t": 0, "k": "a", "x": 0.1}, {"t": HOUR, "k": None, "x": 0.2}], HOUR, 1),
    Block([{"t": HOUR + 1, "k": "a", "x": 0.3}], 2 * HOUR, 2),
]


def a_derivative(folder: Path, sql: str = SQL) -> Derivative:
    return Derivative(folder, sql, [Stream("s", {"k": pa.string(), "x": pa.float64()}, BLOCKS, folder)])


def refusal(derivative: Derivative) -> str:
    answer = execute(derivative.request({"s": 2}, attempt="x"))
    assert isinstance(answer, InternalError), answer
    return answer.message


def test_a_run_can_be_repeated_with_equal_bytes(tmp_path: Path) -> None:
    derivative = a_derivative(tmp_path)
    derivative.run(s=1)
    # Killed after it wrote its files, before the commit: they are left behind, and the run is started again.
    first = execute(derivative.request({"s": 2}, attempt="-first"))

    second = derivative.run(s=2)

    assert isinstance(first, TransformSuccess)
    assert first == second
    assert Path(f"{derivative.data(1)}-first").read_bytes() == derivative.data(1).read_bytes()
    assert Path(f"{derivative.checkpoint(1)}-first").read_bytes() == derivative.checkpoint(1).read_bytes()


def test_a_checkpoint_of_another_query_is_refused(tmp_path: Path) -> None:
    derivative = a_derivative(tmp_path)
    derivative.run(s=1)
    derivative.query = SQL.replace("sum(x)", "max(x)")

    assert "belongs to another query" in refusal(derivative)


def test_a_missing_checkpoint_is_refused(tmp_path: Path) -> None:
    derivative = a_derivative(tmp_path)
    derivative.run(s=1)
    request = derivative.request({"s": 2})
    derivative.checkpoint(0).unlink()

    answer = execute(request)

    assert isinstance(answer, InternalError)
    assert "missing in the store" in answer.message


def test_every_changed_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    derivative = a_derivative(tmp_path)
    derivative.run(s=1)
    derivative.run(s=2)
    expected = derivative.data(1).read_bytes()
    whole = derivative.checkpoint(0).read_bytes()
    derivative.answers.pop()
    derivative.position["s"] = 1
    derivative.offset = derivative.answers[0].new_offset_interval.end + 1  # type: ignore[union-attr] # it has rows

    noticed = 0
    for place in range(0, len(whole), 97):
        derivative.checkpoint(0).write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        answer = execute(derivative.request({"s": 2}, attempt=str(place)))
        if isinstance(answer, InternalError):
            assert "checkpoint" in answer.message
            noticed += 1
        else:
            assert Path(f"{derivative.data(1)}{place}").read_bytes() == expected
    assert noticed > len(whole) / 97 / 3


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "damaged"), (b"ARROW1\0\0 but not really", "damaged"), (b"PK\3\4" + b"savepoint" * 100, "damaged")],
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    derivative = a_derivative(tmp_path)
    derivative.run(s=1)
    derivative.checkpoint(0).write_bytes(content)

    assert said in refusal(derivative)


def test_a_file_of_another_engine_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    with pa.ipc.new_file(path, schema := pa.schema([("a", pa.int64())], metadata={"engine": "flink 1.16"})) as writer:
        writer.write(pa.record_batch([[1]], schema=schema))

    with pytest.raises(CheckpointError, match="another engine"):
        read_state(path, query="q", inputs=1)


def test_a_column_that_changed_its_type_is_refused() -> None:
    state = State([0], {"windows": pa.table({"w": [1]})})

    with pytest.raises(CheckpointError, match="other columns"):
        state.table("windows", pa.schema([("w", pa.int32())]))


def test_state_comes_back_as_it_was(tmp_path: Path) -> None:
    tables = {"b": pa.table({"x": [1, None]}), "a": pa.table({"y": pa.array([], pa.string())})}

    write_state(tmp_path / "one", State([5, -1], tables), query="q")
    write_state(tmp_path / "two", State([5, -1], dict(reversed(tables.items()))), query="q")

    found = read_state(tmp_path / "one", query="q", inputs=2)
    assert (list(found.watermarks), dict(found.tables)) == ([5, -1], tables)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with pytest.raises(CheckpointError, match="digest"):
        read_state(tmp_path / "one", query="q", inputs=3)


def test_versions_of_older_checkpoints_came_in_time(tmp_path: Path) -> None:
    """They do not say since when a version counts, as late ones were left out then."""
    rows = Block([{"t": time, "k": "a", "q": time} for time in (15, 40)], 1000, 1)
    versions = [
        Block([{"t": 10, "k": "a", "v": 1}, {"t": 35, "k": "a", "v": 2}], 30, 1),
        Block([{"op": 1, "t": 10, "k": "a"}, {"t": 36, "k": "a", "v": 3}], 1000, 2),
    ]
    sql = "SELECT s.event_time, s.q, t.v FROM s LEFT JOIN t FOR SYSTEM_TIME AS OF s.event_time ON s.k = t.k"
    stream = Stream("s", {"k": pa.string(), "q": pa.int32()}, [rows], tmp_path)
    derivative = Derivative(
        tmp_path, sql, [stream, Stream("t", {"k": pa.string(), "v": pa.int64()}, versions, tmp_path)]
    )
    derivative.run(s=1, t=1)
    path = derivative.checkpoint(0)
    query = pa.ipc.open_file(path).schema.metadata[b"query"].decode()
    state = read_state(path, query=query, inputs=2)
    older = state.tables["versions"].drop_columns([SINCE])
    path.unlink()
    write_state(path, State(state.watermarks, {**state.tables, "versions": older}), query=query)

    derivative.run(t=2)

    assert [(row["q"], row["v"]) for row in derivative.rows] == [(15, 1), (40, 3)]
    # The retraction of the version of 10 came when 35 was known, but that was not in force yet at 30.
    assert derivative.late_rows == 0
