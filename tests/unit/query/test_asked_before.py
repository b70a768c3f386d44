"""A query that comes again need not ask what it asked before; what it is told is true now."""

import pytest

from kamu_assets.auth.model import Caller
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import KamuError
from kamu_assets.odf.identity import DatasetAlias, DatasetRef
from kamu_assets.odf.names import DatasetName
from kamu_assets.query.asked_before import AskedBefore
from kamu_assets.query.catalog import QueryCatalog
from kamu_assets.query.model import QueryRequest
from kamu_assets.query.questions import Answer, FindTable, Question
from tests.support.heart import KAMU
from tests.unit.query.conftest import Reading

SQL = "select count(*) as n from log"
ALIAS = DatasetAlias.parse("kamu/log")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of tables that workers ask for."""
    names: list[str] = []
    answer = QueryCatalog.answer

    def recorded(catalog: QueryCatalog, question: Question) -> Answer:
        if isinstance(question, FindTable):
            names.append(question.name)
        return answer(catalog, question)

    monkeypatch.setattr(QueryCatalog, "answer", recorded)
    return names


def test_what_was_asked_before_is_not_asked_again(reading: Reading, asked: list[str]) -> None:
    reading.stations("log", 2)
    reading.stations("other", 3)
    sql = "select count(*) as n from log, other join as_of(log, 0) on true"

    answers = [reading.query(sql) for _ in range(3)]

    assert (asked.count("log"), asked.count("other")) == (2, 1)
    assert {answer.data for answer in answers} == {b'[{"n":6}]'}
    assert len({frozenset(answer.datasets) for answer in answers}) == 1


def test_answers_are_those_of_now(reading: Reading) -> None:
    entry = reading.stations("log", 2)
    assert reading.rows(SQL) == [{"n": 2}]

    head = reading.add(entry, 3)
    answer = reading.query(SQL)

    assert answer.rows() == [{"n": 5}]
    assert [each.block_hash for each in answer.datasets] == [head]


def test_what_has_gone_is_gone(reading: Reading) -> None:
    reading.stations("log", 2)
    reading.query(SQL)
    reading.heart.datasets.rename(Caller(KAMU), ALIAS, DatasetName.parse("diary"))

    with pytest.raises(KamuError, match="log"):
        reading.query(SQL)
    reading.stations("other", 4)
    reading.heart.datasets.rename(Caller(KAMU), DatasetAlias.parse("kamu/other"), DatasetName.parse("log"))
    assert reading.rows(SQL) == [{"n": 4}]


def test_a_point_that_was_never_there_is_told_each_time(reading: Reading, asked: list[str]) -> None:
    entry = reading.stations("log", 2)
    sql = f"select count(*) as n from as_of(log, '{reading.heart.chains.head(entry.id)}')"
    assert reading.rows(sql) == [{"n": 2}]
    reading.heart.datasets.delete(Caller(KAMU), ALIAS)
    reading.stations("log", 4)

    for _ in range(2):
        with pytest.raises(KamuError):
            reading.query(sql)


def test_only_the_last_texts_are_remembered_and_no_long_ones() -> None:
    before, question = AskedBefore(), FindTable("log", is_read=True)

    for number in range(300):
        before.remember(f"select {number}", [question])
    before.remember("select 1" + " " * 5000, [question])

    assert sum(bool(before.by(f"select {number}")) for number in range(300)) == 256
    assert before.by("select 299") == [question]
    assert before.by("select 1" + " " * 5000) == ()


def test_nobody_is_told_of_what_others_may_read(reading: Reading, monkeypatch: pytest.MonkeyPatch) -> None:
    reading.stations("log", 2)
    reading.query(SQL)
    resolve = reading.heart.datasets.resolve

    def only_for_kamu(caller: Caller, ref: DatasetRef) -> DatasetEntry:
        if caller.account is None:
            raise DatasetNotFoundError(ref)
        return resolve(caller, ref)

    monkeypatch.setattr(reading.heart.datasets, "resolve", only_for_kamu)

    assert reading.service.query(Caller(KAMU), QueryRequest(SQL)).rows() == [{"n": 2}]
    with pytest.raises(KamuError, match="not found"):
        reading.query(SQL)
