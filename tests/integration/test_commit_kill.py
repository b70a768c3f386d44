"""A commit is killed at every step: the dataset is as before or as after, never in between."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from kamu_assets.auth.model import ANONYMOUS
from kamu_assets.datasets.chains.stored import read_chain
from kamu_assets.datasets.commit.committer import CommitStep, Committer
from kamu_assets.datasets.doctor.findings import FindingKind
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.messages import DatasetCreated, DatasetUpdated
from kamu_assets.errors import KamuError
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.identity import DatasetID
from tests.integration.commit_processes import acknowledge, acknowledged, dies_at
from tests.support.builders import START, a_schema
from tests.support.heart import Heart, an_entry, open_heart
from tests.support.verifier.dataset import verify
from tests.support.verifier.faults import FaultError
from tests.support.wrong_committers import BlocksAfterHead, HeadFirst, ReferenceFileFirst

DATASET = an_entry().id
HARMLESS = {FindingKind.UNREACHABLE}


class ViolationError(AssertionError):
    """What must hold after every death does not."""


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """A home whose dataset has one slice."""
    home = tmp_path / "before"
    home.mkdir()
    heart = open_heart(home)
    heart.dataset()
    heart.add_data(DATASET)
    heart.database.close()
    return home


def test_a_commit_survives_death_at_every_step(before: Path) -> None:
    deaths = sweep(before, partial(commit, committer_class=Committer))

    steps = [step for step, _ in deaths]
    assert set(steps) == set(CommitStep)
    assert [str(violation) for _, violation in deaths if violation] == []


@pytest.mark.parametrize(
    ("wrong", "noticed"),
    [
        (HeadFirst, "there is no object"),
        (BlocksAfterHead, "there is no object"),
        (ReferenceFileFirst, "is ahead of SQL"),
    ],
)
def test_the_sweep_notices_a_wrong_order(before: Path, wrong: type[Committer], noticed: str) -> None:
    deaths = sweep(before, partial(commit, committer_class=wrong))

    violations = [str(violation) for _, violation in deaths if violation]
    assert violations
    assert all(noticed in violation for violation in violations)


def test_a_creation_survives_death_at_every_step(before: Path) -> None:
    deaths = sweep(before, create)

    assert set(CommitStep) - {step for step, _ in deaths} == {CommitStep.FILE_STORED}
    assert [str(violation) for _, violation in deaths if violation] == []


def sweep(
    before: Path, work: Callable[[Path, Callable[[CommitStep], None]], None]
) -> list[tuple[CommitStep, ViolationError | None]]:
    """Where the work died, and what was wrong afterwards, for every step it has."""
    deaths: list[tuple[CommitStep, ViolationError | None]] = []
    while True:
        home = before.with_name(f"death-{len(deaths)}")
        shutil.copytree(before, home)
        died_at = dies_at(len(deaths) + 1, home, work)
        violation = violation_in(home)
        if died_at is None:
            assert violation is None
            assert acknowledged(home)
            return deaths
        deaths.append((died_at, violation))


def commit(home: Path, on_step: Callable[[CommitStep], None], committer_class: type[Committer]) -> None:
    """Two blocks, a slice and a checkpoint in one commit."""
    heart = open_heart(home, on_step=on_step, committer_class=committer_class)
    acknowledge(home, heart.add_checkpoint(DATASET, SetInfo(description="the second")))


def create(home: Path, on_step: Callable[[CommitStep], None]) -> None:
    heart = open_heart(home, on_step=on_step)
    done = heart.committer.create(an_entry("created"), [a_schema()], system_time=START)
    acknowledge(home, done.new_head)


def violation_in(home: Path) -> ViolationError | None:
    """Open the home as a node would and look whether all is well."""
    heart = open_heart(home)
    try:
        check_files_follow_sql(heart)
        heart.datasets.repair_heads()
        check_datasets(home, heart)
        check_messages(heart)
        check_goes_on(heart)
    except ViolationError as found:
        return found
    except (KamuError, FaultError) as error:
        return ViolationError(f"{type(error).__name__}: {error}")
    finally:
        heart.database.close()
    return None


def check_files_follow_sql(heart: Heart) -> None:
    """Whoever reads the store alone sees nothing that SQL does not know."""
    for dataset in stored(heart):
        written = DatasetFiles(heart.volumes.root, dataset).head()
        with heart.database.reading() as tx:
            known = heart.chains._index.sequence_of(tx, dataset, written) if written else 0
        demand(known is not None, f"refs/head of {dataset} is ahead of SQL")


def check_datasets(home: Path, heart: Heart) -> None:
    heads = [str(found.head) for found in heart.datasets.summaries(ANONYMOUS)]
    demand(set(acknowledged(home)) <= set(heads), "an acknowledged commit is lost")
    for summary in heart.datasets.summaries(ANONYMOUS):
        dataset = summary.entry.id
        blocks = heart.volumes.blocks(summary.entry.kind)
        chain = read_chain(summary.head, partial(blocks.get, dataset))
        demand(len(chain.blocks) in {2, 3, 5}, f"{len(chain.blocks)} blocks is neither before nor after")
        files = DatasetFiles(heart.volumes.root, dataset)
        demand(files.head() == summary.head, "refs/head was not repaired")
        for block in chain.blocks:
            files.check_contents(block, on_bytes=lambda _: None)
        verify(Path(heart.datasets.storage_location(summary.entry)))
    findings = [found for found in heart.doctor.repair(dry_run=True) if found.kind not in HARMLESS]
    demand(not findings, f"the doctor finds {findings}")


def check_messages(heart: Heart) -> None:
    """A head that moved was announced, and none other."""
    told = [delivery.message for delivery in heart.outbox.read("test")]
    last = {
        message.dataset_id: message.head if isinstance(message, DatasetCreated) else message.new_head
        for message in told
        if isinstance(message, DatasetCreated | DatasetUpdated)
    }
    heads = {found.entry.id: found.head for found in heart.datasets.summaries(ANONYMOUS)}
    demand(last == heads, f"announced {last}, not {heads}")


def check_goes_on(heart: Heart) -> None:
    length = heart.chains.state(DATASET).sequence_number
    head = heart.add_data(DATASET)
    demand(heart.chains.state(DATASET).sequence_number == length + 1, "the next commit fails")
    demand(heart.chains.head(DATASET) == head, "the next commit is not visible")


def stored(heart: Heart) -> list[DatasetID]:
    return [DatasetID.from_multibase(folder) for folder in heart.volumes.root.folders()]


def demand(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise ViolationError(otherwise)
