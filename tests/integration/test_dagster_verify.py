"""The check `verify` of every dataset, as it is executed and shown in Dagster's UI."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.model import FlowType, OutcomeKind
from kamu_assets.orchestration.names import CHECK_VERIFY
from kamu_assets.orchestration.processes import catalog_command, flows_command, webserver_command
from kamu_assets.storage.layout import dataset_folder
from tests.support.dagster_home import DagsterHome, dagster_home
from tests.support.dagster_ui import CheckSeen, DagsterUi
from tests.support.heart import ADMIN
from tests.support.verified import flip
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Checked:
    """A node with its Dagster."""

    home: DagsterHome
    ui: DagsterUi

    def root(self, *, slices: int = 3) -> DatasetEntry:
        """A root that the UI shows."""
        entry = self.home.parts.root(f"root-{uuid4().hex[:8]}")
        for _ in range(slices):
            self.home.parts.push(entry.id)
        wait_until(lambda: tuple(key_of(entry)) in self.ui.assets())
        return entry

    def check(self, entry: DatasetEntry) -> CheckSeen:
        """Execute the check, and wait for what comes of it."""
        run_id = self.ui.execute_check(key_of(entry), CHECK_VERIFY)
        self.end(run_id)
        (found,) = [each for each in self.ui.checks(key_of(entry), CHECK_VERIFY) if each.run_id == run_id]
        return found

    def end(self, run_id: str) -> str:
        """The status of the run when it has ended."""
        wait_until(lambda: (run := self.ui.run(run_id)) and run.has_ended)
        ended = self.ui.run(run_id)
        return ended.status if ended else "gone"

    def slices(self, entry: DatasetEntry) -> list[Path]:
        """Its files, in the order of its blocks."""
        volume = self.home.parts.heart.volumes.for_kind(entry.kind)
        head = self.home.parts.chains.head(entry.id)
        found = self.home.parts.chains.slices(entry.id, after=None, until=head)
        folder = Path(volume.location(dataset_folder(entry.id)))
        return [folder / "data" / str(each.physical_hash) for each in found]


def key_of(entry: DatasetEntry) -> list[str]:
    return [str(entry.account), str(entry.name)]


@pytest.fixture(scope="module")
def checked(database_url: str | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checked]:
    folder = tmp_path_factory.mktemp("node")
    with dagster_home(folder, database_url=database_url) as home, httpx.Client(timeout=30) as http:
        for command in (catalog_command, flows_command, webserver_command):
            home.start(command(home.config))
        home.start_own("scheduler")
        home.start_own("worker")
        ui = DagsterUi(f"http://127.0.0.1:{home.config.webserver_port}", http)
        wait_until(lambda: _is_up(ui))
        yield Checked(home, ui)


def _is_up(ui: DagsterUi) -> bool:
    try:
        ui.assets()
    except httpx.HTTPError:
        return False
    return True


def test_a_clean_dataset_passes(checked: Checked) -> None:  # KD-27
    root = checked.root(slices=3)

    found = checked.check(root)

    assert found.status == "SUCCEEDED"
    assert found.metadata["verdict"] == "Valid"
    assert (found.metadata["blocks"], found.metadata["slices"], found.metadata["records"]) == (5, 3, 30)
    assert found.metadata["kamu/head"] == str(checked.home.parts.chains.head(root.id))


def test_a_flipped_byte_fails_and_the_first_bad_object_stays_visible(checked: Checked) -> None:  # KD-27
    root = checked.root(slices=3)
    before = checked.check(root)
    bad = checked.slices(root)[1]
    flip(bad)

    found = checked.check(root)

    assert found.status == "FAILED"
    assert found.metadata["verdict"] == "DataPhysicalHashMismatch"
    assert found.metadata["bad_file"] == f"data/{bad.name}"
    assert found.metadata["bad_block_number"] == 3
    assert found.metadata["expected"] == bad.name != found.metadata["found"]
    assert str(found.description).startswith(f"DataPhysicalHashMismatch: data/{bad.name} of block 3 (f1620")
    history = [each.run_id for each in checked.ui.checks(key_of(root), CHECK_VERIFY)]
    assert history == [found.run_id, before.run_id]


def test_a_damaged_block_is_a_verdict_even_where_nothing_else_works(checked: Checked) -> None:
    root = checked.root()
    head = checked.slices(root)[0].parents[1] / "blocks" / str(checked.home.parts.chains.head(root.id))
    flip(head)

    found = checked.check(root)

    assert found.status == "FAILED"
    assert found.metadata["verdict"] in {"BlockMalformed", "BlockHashMismatch"}
    assert found.metadata["bad_file"] == f"blocks/{head.name}"


def test_materializing_verifies_nothing(checked: Checked) -> None:
    """The UI asks for the checks of whatever it materializes."""
    root = checked.root()

    ended = checked.end(checked.ui.materialize(key_of(root), checks=[CHECK_VERIFY]))

    assert ended == "SUCCESS"
    assert checked.ui.checks(key_of(root), CHECK_VERIFY) == []


def test_updates_verify_nothing_and_verifications_are_flows_of_their_own(checked: Checked) -> None:
    root = checked.root()
    checked.home.parts.flows.request_run(ADMIN, root.id)
    (flow,) = checked.home.parts.finished(root.id)
    executed = checked.ui.checks(key_of(root), CHECK_VERIFY)

    found = checked.check(root)

    assert executed == []
    assert found.status == "SUCCEEDED"
    verified, before = checked.home.parts.finished(root.id, count=2)
    assert before.id == flow.id
    assert verified.outcome is not None
    assert (verified.type, verified.cause.kind, verified.run_id, verified.outcome.kind) == (
        FlowType.VERIFY,
        CauseKind.DAGSTER_UI,
        found.run_id,
        OutcomeKind.SUCCESS,
    )


def test_a_lost_folder_is_told_like_a_lost_file(checked: Checked) -> None:
    root = checked.root()
    volume = checked.home.parts.heart.volumes.for_kind(root.kind)
    data = Path(volume.location(dataset_folder(root.id))) / "data"
    data.rename(data.with_name("elsewhere"))
    data.write_text("no folder")

    found = checked.check(root)

    assert found.status == "FAILED"
    assert found.metadata["verdict"] == "ObjectNotFound"
