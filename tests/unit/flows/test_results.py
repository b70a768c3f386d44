"""What flows achieved is kept with them and with their attempts."""

from __future__ import annotations

import pytest

from kamu_api.cli.flows.result_text import result_facts, result_text
from kamu_api.cli.flows.text import flow_facts, flow_row, way_out
from kamu_assets.coordinator.results import NothingToDo, Reorganized
from kamu_assets.flows.achievements import Achievements
from kamu_assets.flows.logs.text import event_text
from kamu_assets.flows.model import FlowOutcome, OutcomeKind
from kamu_assets.flows.orchestrator import RunState
from kamu_assets.flows.results import (
    ChainReplaced,
    DataAdded,
    FlowResult,
    GarbageRemoved,
    NothingChanged,
    NothingNew,
    ReceiverTold,
    Verified,
    result_of,
)
from kamu_assets.flows.results import result_text as as_row
from kamu_assets.flows.retrying import FlowConfig, RetryPolicy
from kamu_assets.flows.store import FlowStore
from kamu_assets.odf.multihash import Multihash
from tests.support.builders import START
from tests.support.heart import ADMIN
from tests.unit.flows.conftest import Flows

HEAD = Multihash.sha3_256(b"head")
TOLD: dict[FlowResult, str] = {
    NothingNew(): "nothing was new",
    NothingNew(uncacheable=True): "not read again: the source cannot tell whether it changed",
    DataAdded(2, 1_234): "1,234 records in 2 blocks",
    DataAdded(1, 1, START, has_more=True): "1 record in 1 block, watermark 2024-01-01 00:00:00; the source has more",
    NothingChanged(): "there was nothing to do",
    ChainReplaced(7, 4, HEAD): f"7 blocks before, 4 now, head {HEAD}",
    Verified("valid", 5, 0, 0): "valid: 5 blocks, 0 faults",
    Verified("SIZE_MISMATCH", 5, 1, 2): "size_mismatch: 5 blocks, 1 fault, 2 remarks",
    GarbageRemoved(3, 4_096, 2): "removed 3 files, 4,096 bytes",
    ReceiverTold(1, 204): "1 message got there, the last answer was 204",
    ReceiverTold(2, 500): "2 messages got there, the last answer was 500",
    ReceiverTold(0): "nothing got there",
}


@pytest.mark.parametrize("result", TOLD, ids=str)
def test_a_result_is_kept_and_told(result: FlowResult) -> None:
    facts = result_facts(result)

    assert result_of(as_row(result)) == result
    assert facts is not None
    assert result_text(facts).startswith(TOLD[result])
    assert facts["kind"] == result.kind


def test_a_result_has_the_names_of_the_api() -> None:
    updated, replaced = result_facts(DataAdded(2, 6, START)), result_facts(ChainReplaced(7, 4, HEAD))

    expected = {"numBlocks": 2, "numRecords": 6, "updatedWatermark": str(START), "hasMore": False}
    assert updated == {"kind": "UPDATED", **expected}
    assert replaced is not None
    assert replaced.keys() == {"kind", "originalBlocksCount", "resultingBlocksCount", "newHead"}


def test_what_the_coordinator_did_is_what_the_flow_achieved() -> None:
    assert ChainReplaced.of(NothingToDo()) == NothingChanged()
    assert ChainReplaced.of(Reorganized(HEAD, HEAD, 7, 4)) == ChainReplaced(7, 4, HEAD)


def test_each_attempt_has_its_own(flows: Flows) -> None:
    root, other = flows.root(), flows.root("other")
    flows.configs.set(ADMIN, root.id, FlowConfig(RetryPolicy(1, 5.0)))
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    achievements = Achievements(flows.heart.database)
    first = str(flows.only(root).run_id)
    achievements.note(first, root.id, DataAdded(1, 2))
    achievements.note(first, other.id, DataAdded(8, 9))
    assert flows.only(root).result == DataAdded(1, 2)
    flows.service.run_finished(first, FlowOutcome(OutcomeKind.FAILED, "the network is away"))
    flows.clock.advance(5)
    flows.scheduler.step()
    second = str(flows.only(root).run_id)
    achievements.note(second, root.id, NothingNew())
    # A worker that was thought dead tells late.
    achievements.note(first, root.id, DataAdded(1, 2))
    flows.orchestrator.become(second, RunState.IDLE)
    flows.scheduler.reconcile()

    flow = flows.only(root)
    assert flow.result == NothingNew()
    assert [each.result for each in flows.service.attempts(ADMIN, flow.id)] == [DataAdded(1, 2), NothingNew()]
    assert flow_facts(flow, dataset="kamu/root")["result"] == {"kind": "UP_TO_DATE", "uncacheable": False}


def test_who_cannot_go_on_after_an_input_was_rewritten_is_told_the_way_out(flows: Flows) -> None:
    root = flows.root()
    reader = flows.derivative("reader", root)
    flows.service.request_run(ADMIN, reader.id)
    flows.scheduler.step()
    failed = FlowOutcome(OutcomeKind.FAILED, "rewritten", recoverable=False, rewritten_input=root.id)
    flows.service.run_finished(str(flows.only(reader).run_id), failed)

    hint = way_out(flow_facts(flows.of(reader)[0], dataset="kamu/reader"))

    assert hint is not None
    assert "kamu-node flow run kamu/reader --type reset-to-metadata" in hint
    assert "--reactive --recover" in hint
    flows.service.request_run(ADMIN, root.id)
    assert way_out(flow_facts(flows.only(root), dataset="kamu/root")) is None


def test_a_list_says_what_came_of_a_flow_and_when_it_is_tried_again(flows: Flows) -> None:
    root = flows.root()
    flows.configs.set(ADMIN, root.id, FlowConfig(RetryPolicy(1, 5.0)))
    flows.service.request_run(ADMIN, root.id)
    flows.scheduler.step()
    flows.service.run_finished(str(flows.only(root).run_id), FlowOutcome(OutcomeKind.FAILED, "the network is away"))
    again = flow_row(flow_facts(flows.only(root), dataset="kamu/root"))
    ended = event_text(flows.service.events(ADMIN, flows.only(root).id)[-1])
    with flows.heart.database.transaction() as tx:
        FlowStore().note_wait(tx, "waits for a place at engine datafusion", flow=flows.only(root).id)
    held = flow_row(flow_facts(flows.only(root), dataset="kamu/root"))
    flows.clock.advance(5)
    flows.scheduler.step()
    Achievements(flows.heart.database).note(str(flows.only(root).run_id), root.id, DataAdded(1, 3))
    flows.service.run_finished(str(flows.only(root).run_id), FlowOutcome(OutcomeKind.SUCCESS))
    done = flow_row(flow_facts(flows.only(root), dataset="kamu/root"))

    assert again["outcome"] == "attempt 2 at 2024-01-01 00:00:05: the last failed: the network is away"
    assert held["outcome"] == "attempt 2 at 2024-01-01 00:00:05: waits for a place at engine datafusion"
    assert "again at 2024-01-01 00:00:05 UTC" in ended
    assert done["outcome"] == "success: 3 records in 1 block"
    assert (done["type"], done["cause"]) == ("ingest", "manual")
