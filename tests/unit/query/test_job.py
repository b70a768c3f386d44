"""What queries leave in their worker."""

import contextlib
import gc

import pytest

from kamu_assets.errors import InvalidError
from kamu_assets.query.job import answer_query, planned, query_failures
from kamu_assets.query.model import DataFormat
from kamu_assets.query.requests import AnswerShape, QueryJob
from kamu_assets.query.tables import named

SHAPE = AnswerShape(skip=0, limit=10, data_format=DataFormat.JSON_AOS, sort_keys=True, limit_bytes=1 << 20)


def catalogs() -> int:
    gc.collect()
    return sum(type(each) is named.NamedDatasets for each in gc.get_objects())


@pytest.mark.parametrize("sql", ["select 1", "select 1/0", "select nope", "select * from nope", "selec"])
def test_no_query_leaves_its_catalog_behind(monkeypatch: pytest.MonkeyPatch, sql: str) -> None:  # KA-09
    # Sessions and catalogs that hold each other are never freed.
    monkeypatch.setattr(named, "ask", lambda _: None)

    before = catalogs()

    for _ in range(10):
        with contextlib.suppress(InvalidError):
            answer_query(QueryJob(sql, SHAPE, 1 << 28))
        with contextlib.suppress(InvalidError), query_failures():
            planned(sql, 1 << 28).collect()

    # One session waits for the next query.
    assert catalogs() <= before + 1
