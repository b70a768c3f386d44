"""A derivative whose inputs have nothing new."""

from pathlib import Path

from kamu_assets.engines.engine import RawQueryRequest, RawQueryResponse, TransformRequest, TransformResponse
from kamu_assets.odf.dataset import DatasetKind, SetTransform
from kamu_assets.odf.engine import SqlQueryStep, TransformInput, TransformSql
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, open_heart
from tests.support.inline_engine import InlineEngine


class CountingEngine(InlineEngine):
    """Counts how often it is called."""

    def __init__(self) -> None:
        self.calls = 0

    def transform(self, request: TransformRequest, **options: object) -> TransformResponse:
        self.calls += 1
        return super().transform(request, **options)

    def raw_query(self, request: RawQueryRequest, **options: object) -> RawQueryResponse:
        self.calls += 1
        return super().raw_query(request, **options)


def calls_without_news(home: Path) -> int:
    """How often a pull calls the engine when the pull before has read everything."""
    heart = open_heart(home)
    try:
        root = heart.dataset("readings")
        heart.add_data(root.id)
        derivative = heart.dataset(
            "copy", reading(str(root.id), "select event_time from a"), kind=DatasetKind.DERIVATIVE
        )
        engine = CountingEngine()
        coordinator = a_coordinator(heart, base=home, engines={"datafusion": engine})
        coordinator.pull(ADMIN, derivative.id)
        before = engine.calls
        coordinator.pull(ADMIN, derivative.id)
        return engine.calls - before
    finally:
        heart.database.close()


def reading(dataset: str, query: str) -> SetTransform:
    """One input called `a`, one query."""
    steps = (SqlQueryStep(query=query),)
    inputs = (TransformInput(dataset_ref=dataset, alias="a"),)
    return SetTransform(inputs=inputs, transform=TransformSql(engine="datafusion", queries=steps))
