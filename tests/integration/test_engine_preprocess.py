"""Preprocess queries of other engines than `datafusion` run where `engine.names` says, as transforms do."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from kamu_assets.coordinator.ingest.errors import BadSqlError, SqlRuntimeError, TypeMismatchError, UnknownEngineError
from kamu_assets.coordinator.service import PushData
from kamu_assets.engines.engine import Engine
from kamu_assets.engines.grpc.client import RemoteConfig, RemoteEngine
from kamu_assets.engines.grpc.server import EngineServer
from kamu_assets.errors import KamuError
from kamu_assets.odf.data import DataSchema, Int64Type, StringType, TimestampType
from kamu_assets.odf.dataset import AddPushSource
from kamu_assets.odf.engine import TransformSql, normalize_transform
from kamu_assets.odf.source import MergeStrategyAppend, ReadStep, ReadStepCsv, ReadStepNdJson
from tests.support.builders import START
from tests.support.coordination import InThisProcess, a_coordinator
from tests.support.heart import ADMIN, Heart, an_entry
from tests.support.inline_engine import InlineEngine
from tests.support.pushed import PushedRoot, columns

TYPES: DataSchema = columns(event_time=TimestampType(), city=StringType(), n=Int64Type())
DOUBLED = "SELECT event_time, city, n * 2 AS n FROM input WHERE n > 1"
LINES = b'{"city": "A", "n": 1}\n{"city": "B", "n": 2}\n{"city": "C", "n": 3}\n'


def a_root(
    heart: Heart, engines: Mapping[str, Engine], *, read: ReadStep | None = None, query: str = DOUBLED
) -> PushedRoot:
    entry = an_entry("cities")
    source = AddPushSource(
        source_name="default",
        read=read or ReadStepNdJson(schema_=TYPES),
        preprocess=normalize_transform(TransformSql(engine="flink", query=query)),
        merge=MergeStrategyAppend(),
    )
    heart.committer.create(entry, [source], system_time=START)
    return PushedRoot(heart, a_coordinator(heart, base=Path(), engines=engines), entry)


def test_an_engine_of_ours_under_another_name(heart: Heart) -> None:
    root = a_root(heart, {"flink": InlineEngine()})

    assert root.push(LINES).records == 2
    assert root.rows() == [{"city": "B", "n": 4}, {"city": "C", "n": 6}]


def test_an_engine_behind_an_address(heart: Heart) -> None:
    with EngineServer(InlineEngine(), port=0) as server:
        engine = RemoteEngine(RemoteConfig(f"127.0.0.1:{server.port}", 60.0), InThisProcess())
        root = a_root(heart, {"flink": engine})

        root.push(LINES)

    assert root.rows() == [{"city": "B", "n": 4}, {"city": "C", "n": 6}]


def test_rows_are_those_that_datafusion_within_ingestion_gives(heart: Heart) -> None:
    ours = a_root(heart, {"flink": InlineEngine()}, read=ReadStepNdJson(), query="SELECT n, city FROM input")
    entry = an_entry("others")
    preprocess = normalize_transform(TransformSql(engine="datafusion", query="SELECT n, city FROM input"))
    source = AddPushSource(
        source_name="default", read=ReadStepNdJson(), preprocess=preprocess, merge=MergeStrategyAppend()
    )
    heart.committer.create(entry, [source], system_time=START)
    theirs = PushedRoot(heart, ours.coordinator, entry)

    ours.push(LINES)
    theirs.push(LINES)

    assert (ours.rows(), ours.logical_hash()) == (theirs.rows(), theirs.logical_hash())


def test_nothing_is_done_by_default_to_what_was_preprocessed(heart: Heart) -> None:
    """Without a preprocess step a column `op` would be moved out of the way; a query that makes one is refused."""
    root = a_root(heart, {"flink": InlineEngine()}, query="SELECT city, 1 AS op FROM input")

    with pytest.raises(KamuError, match="column `op`"):
        root.push(LINES)


def test_no_rows_and_no_columns_are_no_matter_for_an_engine(heart: Heart) -> None:
    root = a_root(heart, {"flink": InlineEngine()}, read=ReadStepNdJson())

    assert root.push(b"").up_to_date


def test_an_unknown_engine_is_told_with_those_there_are(heart: Heart) -> None:
    root = a_root(heart, {"risingwave": InlineEngine()})

    with pytest.raises(UnknownEngineError, match="unknown engine 'flink'; known engines: risingwave"):
        root.push(LINES)


@pytest.mark.parametrize(
    ("query", "error", "text"),
    [
        ("SELECT nosuch FROM input", BadSqlError, "^data: preprocess query: .*nosuch"),
        ("SELECT TUMBLE_START(event_time, INTERVAL '1' HOUR) AS t FROM input", BadSqlError, "(?i)tumble_start"),
        ("SELECT 1 / (n - 1) AS n FROM input", SqlRuntimeError, "^data: preprocess query: .*[Dd]ivide by zero"),
    ],
)
def test_what_the_engine_says_is_told(heart: Heart, query: str, error: type[KamuError], text: str) -> None:
    root = a_root(heart, {"flink": InlineEngine()}, query=query)
    head = heart.chains.head(root.entry.id)

    with pytest.raises(error, match=text):
        root.push(LINES)
    assert heart.chains.head(root.entry.id) == head


def test_a_bad_value_is_told_before_the_engine_is_asked(heart: Heart) -> None:
    root = a_root(heart, {"flink": InlineEngine()}, read=ReadStepCsv(schema_=TYPES))

    with pytest.raises(TypeMismatchError, match=r"line 2.*column `n`.*many"):
        root.push(b"2024-01-01T00:00:00Z,A,1\n2024-01-01T00:00:00Z,B,many\n")


def test_of_pushes_at_once_only_the_bad_one_is_refused(heart: Heart) -> None:
    root = a_root(heart, {"flink": InlineEngine()})
    outcomes: dict[int, object] = {}

    def push(number: int) -> None:
        content = b'{"n": "x"}' if number == 1 else b'{"city": "A", "n": %d}' % (number + 2)
        try:
            outcomes[number] = root.coordinator.push(ADMIN, root.entry.id, PushData(content)).records
        except KamuError as error:
            outcomes[number] = type(error)

    threads = [threading.Thread(target=push, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == {0: 1, 1: TypeMismatchError, 2: 1, 3: 1}
    assert sorted(row["n"] for row in root.rows()) == [4, 8, 10]
