"""Which engine's places the runs of a dataset take."""

from __future__ import annotations

from kamu_assets.odf.dataset import AddPushSource, MetadataEvent, SetPollingSource, SetTransform
from kamu_assets.odf.engine import SqlQueryStep, TransformInput, TransformSql
from kamu_assets.odf.identity import DatasetKind
from kamu_assets.odf.source import FetchStepUrl, MergeStrategyAppend, ReadStepNdJson
from kamu_assets.orchestration.workers.capacity import engine_of
from tests.support.heart import Heart

FLINK = TransformSql(engine="flink", queries=(SqlQueryStep(query="select * from input"),))
READ, MERGE = ReadStepNdJson(), MergeStrategyAppend()


def engine_with(heart: Heart, *events: MetadataEvent, kind: DatasetKind = DatasetKind.ROOT) -> str | None:
    return engine_of(heart.chains, heart.dataset("dataset", *events, kind=kind).id)


def polling(preprocess: TransformSql | None) -> SetPollingSource:
    return SetPollingSource(fetch=FetchStepUrl(url="http://x"), read=READ, preprocess=preprocess, merge=MERGE)


def test_a_derivative_takes_a_place_of_the_engine_that_computes_it(heart: Heart) -> None:
    root = heart.dataset("root")
    transform = SetTransform(inputs=(TransformInput(dataset_ref=str(root.id), alias="input"),), transform=FLINK)

    assert engine_with(heart, transform, kind=DatasetKind.DERIVATIVE) == "flink"


def test_a_root_takes_a_place_of_the_engine_that_preprocesses_what_it_polls(heart: Heart) -> None:
    assert engine_with(heart, polling(FLINK)) == "flink"


def test_a_root_without_preprocessing_takes_none(heart: Heart) -> None:
    assert engine_with(heart, polling(None)) is None


def test_pushes_are_no_runs_and_take_none(heart: Heart) -> None:
    source = AddPushSource(source_name="default", read=READ, preprocess=FLINK, merge=MERGE)

    assert engine_with(heart, source) is None
