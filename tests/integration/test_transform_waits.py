"""A derivative waits for inputs that never got any data, and says for which."""

from pathlib import Path

from kamu_api.cli.datasets.pulling import pull_line
from kamu_assets.coordinator.results import Updated, UpToDate
from kamu_assets.odf.dataset import DatasetKind, SetInfo, SetTransform
from kamu_assets.odf.engine import SqlQueryStep, TransformInput, TransformSql
from tests.support.builders import a_schema
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart
from tests.support.inline_engine import InlineEngine


def test_it_names_every_input_without_schema_until_they_have_one(heart: Heart, tmp_path: Path) -> None:
    full, first, second = heart.dataset("full"), heart.dataset("a", INFO), heart.dataset("b", INFO)
    heart.add_data(full.id)
    inputs = tuple(TransformInput(dataset_ref=str(one.id), alias=str(one.name)) for one in (first, full, second))
    query = SqlQueryStep(query='select event_time from "full"')
    derivative = heart.dataset(
        "copy",
        SetTransform(inputs=inputs, transform=TransformSql(engine="datafusion", queries=(query,))),
        kind=DatasetKind.DERIVATIVE,
    )
    coordinator = a_coordinator(heart, base=tmp_path, engines={"datafusion": InlineEngine()})

    assert coordinator.pull(ADMIN, derivative.id) == UpToDate(waiting_for=(first.alias, second.alias))
    coordinator.commit_event(ADMIN, first.id, a_schema())
    assert coordinator.pull(ADMIN, derivative.id) == UpToDate(waiting_for=(second.alias,))
    coordinator.commit_event(ADMIN, second.id, a_schema())
    assert isinstance(coordinator.pull(ADMIN, derivative.id), Updated)


INFO = SetInfo(description="nothing yet")


def test_people_are_told_what_it_waits_for() -> None:
    row = {"dataset": "kamu/copy", "result": "up-to-date", "uncacheable": False, "waitingFor": ["kamu/a", "kamu/b"]}

    assert pull_line(row) == "kamu/copy: waiting for data in kamu/a, kamu/b"
