"""Flows that do more than bring datasets up to date, as Dagster runs, with scheduler and worker in this process."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import pytest
from dagster import DagsterRunStatus
from structlog.testing import capture_logs

from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.arguments import CompactionArguments, ResetArguments
from kamu_assets.flows.causes import CauseKind
from kamu_assets.flows.model import Flow, FlowState, FlowType, OutcomeKind
from kamu_assets.flows.results import ChainReplaced, GarbageRemoved, NothingChanged, Verified
from kamu_assets.flows.retrying import PLAIN, FlowConfig
from kamu_assets.odf.multihash import Multihash
from kamu_assets.orchestration.names import TAG_ACCOUNT, TAG_ATTEMPT, TAG_DATASET, TAG_FLOW, TAG_FLOW_TYPE
from kamu_assets.storage.layout import data_key
from tests.support.dagster_adapter import Adapter, worker_of
from tests.support.dagster_home import DagsterHome
from tests.support.heart import ADMIN


def done(adapter: Adapter, entry: DatasetEntry, type_: FlowType, config: FlowConfig = PLAIN) -> Flow:
    """The flow after all that was to be done."""
    asked = adapter.parts.requests().run(ADMIN, entry.id, type_, config)
    adapter.settle()
    return adapter.parts.flows.get(ADMIN, asked.id)


def blocks_of(adapter: Adapter, entry: DatasetEntry) -> Sequence[Multihash]:
    return [each.block_hash for each in adapter.parts.chains.blocks(entry.id, newest_first=False)]


def a_root(adapter: Adapter, *, slices: int = 3) -> DatasetEntry:
    root = adapter.pushed_root()
    for _ in range(slices):
        adapter.parts.push(root.id)
    return root


def test_a_root_is_compacted_in_a_run_that_says_so(adapter: Adapter) -> None:
    root = a_root(adapter)
    before = len(blocks_of(adapter, root))

    flow = done(adapter, root, FlowType.HARD_COMPACTION)

    run = adapter.instance.get_run_by_id(str(flow.run_id))
    assert run is not None
    assert flow.outcome is not None
    assert (run.status, run.job_name, flow.outcome.kind) == (
        DagsterRunStatus.SUCCESS,
        "compact_dataset",
        OutcomeKind.SUCCESS,
    )
    assert len(blocks_of(adapter, root)) == before - 2
    assert flow.result == ChainReplaced(before, before - 2, adapter.parts.chains.head(root.id))
    tags = (TAG_FLOW, TAG_FLOW_TYPE, TAG_DATASET, TAG_ACCOUNT, TAG_ATTEMPT)
    assert [run.tags[tag] for tag in tags] == [str(flow.id), "HARD_COMPACTION", str(root.id), "kamu", "1"]
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.location_name == "flows"
    lines = [entry.message for entry in adapter.instance.all_logs(run.run_id)]
    assert any(f"blocks are {before - 2} now" in line for line in lines)
    assert any(line.startswith(f"HARD_COMPACTION of {root.alias}, picked up by") for line in lines)
    assert (adapter.orchestrator.status(run.run_id).state.name) == "SUCCEEDED"


def test_what_is_compacted_already_is_up_to_date(adapter: Adapter) -> None:
    root = a_root(adapter, slices=1)

    flow = done(adapter, root, FlowType.HARD_COMPACTION)

    assert flow.outcome is not None
    assert (flow.outcome.kind, flow.result) == (OutcomeKind.UP_TO_DATE, NothingChanged())
    assert adapter.orchestrator.status(str(flow.run_id)).state.name == "IDLE"


def test_a_compaction_keeps_to_its_arguments(adapter: Adapter) -> None:
    root = a_root(adapter, slices=4)
    before = len(blocks_of(adapter, root))

    flow = done(
        adapter, root, FlowType.HARD_COMPACTION, FlowConfig(compaction=CompactionArguments(max_slice_records=20))
    )

    assert len(blocks_of(adapter, root)) == before - 2
    assert flow.config.compaction == CompactionArguments(max_slice_records=20)


def test_a_reset_goes_back_to_its_block(adapter: Adapter) -> None:
    root = a_root(adapter)
    blocks = blocks_of(adapter, root)

    flow = done(adapter, root, FlowType.RESET, FlowConfig(reset=ResetArguments(new_head=blocks[-2])))

    assert flow.outcome is not None
    assert flow.outcome.kind is OutcomeKind.SUCCESS
    assert blocks_of(adapter, root) == blocks[:-1]
    assert flow.result == ChainReplaced(len(blocks), len(blocks) - 1, blocks[-2])


def test_a_reset_whose_head_has_moved_fails_and_changes_nothing(adapter: Adapter) -> None:
    root = a_root(adapter)
    blocks = blocks_of(adapter, root)

    flow = done(adapter, root, FlowType.RESET, FlowConfig(reset=ResetArguments(old_head=blocks[-2])))

    assert flow.outcome is not None
    assert (flow.outcome.kind, flow.outcome.recoverable) == (OutcomeKind.FAILED, True)
    assert "another commit was first" in str(flow.outcome.message)
    assert blocks_of(adapter, root) == blocks


def test_a_reset_to_metadata_drops_the_rows(adapter: Adapter) -> None:
    root = a_root(adapter)

    first = done(adapter, root, FlowType.RESET_TO_METADATA)
    again = done(adapter, root, FlowType.RESET_TO_METADATA)

    assert [flow.outcome and flow.outcome.kind for flow in (first, again)] == [
        OutcomeKind.SUCCESS,
        OutcomeKind.UP_TO_DATE,
    ]
    assert adapter.parts.chains.state(root.id).next_offset == 0
    assert isinstance(first.result, ChainReplaced)
    assert again.result == NothingChanged()


def test_a_verification_is_a_run_of_the_check(adapter: Adapter) -> None:
    root = a_root(adapter)

    flow = done(adapter, root, FlowType.VERIFY)

    run = adapter.instance.get_run_by_id(str(flow.run_id))
    assert run is not None
    assert flow.outcome is not None
    assert (run.status, flow.outcome.kind) == (DagsterRunStatus.SUCCESS, OutcomeKind.SUCCESS)
    assert [key.name for key in run.asset_check_selection or ()] == ["verify"]
    assert flow.result == Verified("Valid", len(blocks_of(adapter, root)), 0, 0)


def test_a_damaged_dataset_fails_its_verification_for_good(adapter: Adapter) -> None:
    root = a_root(adapter)
    newest = adapter.parts.chains.head(root.id)
    assert newest is not None
    volume = adapter.parts.heart.volumes.for_kind(root.kind)
    found = adapter.parts.chains.slices(root.id, after=None, until=newest)
    volume.delete(data_key(root.id, found[0].physical_hash))

    flow = done(adapter, root, FlowType.VERIFY)

    assert flow.outcome is not None
    assert (flow.outcome.kind, flow.outcome.recoverable) == (OutcomeKind.FAILED, False)
    assert str(found[0].physical_hash) in str(flow.outcome.message)
    assert isinstance(flow.result, Verified)
    assert flow.result.faults > 0
    assert adapter.orchestrator.status(str(flow.run_id)).state.name == "FAILED"


def test_garbage_of_the_node_is_collected(adapter: Adapter) -> None:
    root = a_root(adapter)
    done(adapter, root, FlowType.RESET, FlowConfig(reset=ResetArguments()))

    asked = adapter.parts.requests().collect(ADMIN)
    adapter.settle()

    flow = adapter.parts.flows.get(ADMIN, asked.id)
    run = adapter.instance.get_run_by_id(str(flow.run_id))
    assert run is not None
    assert flow.outcome is not None
    assert (flow.state, flow.outcome.kind) == (FlowState.FINISHED, OutcomeKind.SUCCESS)
    assert TAG_DATASET not in run.tags
    assert isinstance(flow.result, GarbageRemoved)
    assert flow.result.files > 0
    assert flow.result.bytes > 0


@pytest.mark.parametrize("by", ["id", "name"])
def test_a_run_by_hand_becomes_a_manual_flow_of_its_type(adapter: Adapter, by: str) -> None:
    root = a_root(adapter)
    named = str(root.id) if by == "id" else str(root.alias)

    run = adapter.job_run("compact_dataset", {"ops": {"compact": {"config": {"dataset": named}}}})
    adapter.work()

    flow = adapter.parts.flow_of(root.id)
    assert flow is not None
    assert flow.outcome is not None
    assert (flow.type, flow.run_id, flow.cause.kind) == (
        FlowType.HARD_COMPACTION,
        run.run_id,
        CauseKind.DAGSTER_UI,
    )
    assert flow.outcome.kind is OutcomeKind.SUCCESS


def test_the_log_names_the_dataset_and_the_type_of_what_was_done(adapter: Adapter) -> None:
    root = a_root(adapter)

    with capture_logs() as logs:
        done(adapter, root, FlowType.HARD_COMPACTION)
        done(adapter, root, FlowType.VERIFY)
        adapter.job_run(
            "reset_dataset_to_metadata", {"ops": {"reset_to_metadata": {"config": {"dataset": str(root.id)}}}}
        )
        adapter.work()

    told = [(line["assets"], line["type"]) for line in logs if line["event"] == "run_ended"]
    assert told == [(str(root.alias), type_) for type_ in ("HARD_COMPACTION", "VERIFY", "RESET_TO_METADATA")]


def test_what_its_worker_died_of_is_done_by_another(adapter: Adapter) -> None:
    root = a_root(adapter)
    before = len(blocks_of(adapter, root))
    asked = adapter.parts.requests().run(ADMIN, root.id, FlowType.HARD_COMPACTION)
    adapter.scheduler.step()
    first = adapter.run_of(root)
    adapter.parts.queue.claim("dead-host:1:1")

    assert adapter.reaper.bury_lost() == 1
    adapter.scheduler.reconcile()
    adapter.work()

    flow = adapter.parts.flows.get(ADMIN, asked.id)
    assert flow.outcome is not None
    assert (flow.outcome.kind, flow.attempt, flow.parent_run_id) == (OutcomeKind.SUCCESS, 2, first.run_id)
    assert len(blocks_of(adapter, root)) == before - 2


def test_time_limits_hold_for_all_types(dagster: DagsterHome, adapter: Adapter) -> None:
    slow = dagster.parts.root(f"slow-{uuid4().hex[:8]}")
    head = dagster.parts.chains.head(slow.id)
    asked = adapter.parts.requests().run(ADMIN, slow.id, FlowType.HARD_COMPACTION)
    adapter.scheduler.step()
    hasty = worker_of(adapter.parts, adapter.instance, time_limit_seconds=0.5)
    adapter.parts.queue.beat(hasty._identity)

    hasty._drain()

    flow = adapter.parts.flows.get(ADMIN, asked.id)
    assert flow.outcome is not None
    assert flow.outcome.kind is OutcomeKind.FAILED
    assert "the time limit of setting" in str(flow.outcome.message)
    assert dagster.parts.chains.head(slow.id) == head
    # Whoever collects the garbage of all datasets would wait for it.
    dagster.parts.datasets.delete(ADMIN, slow.id)
