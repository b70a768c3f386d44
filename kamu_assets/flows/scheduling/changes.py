"""Changes of datasets as causes of flows."""

from dataclasses import replace

from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.messages import DatasetCreated, DatasetRewritten, DatasetUpdated
from kamu_assets.flows.causes import CauseKind, FlowCause, UpdateSource
from kamu_assets.flows.store import FlowStore

_FLOWS = FlowStore()


def cause_of(tx: Transaction, change: DatasetCreated | DatasetUpdated | DatasetRewritten) -> FlowCause:
    """The dataset's new head, what came with it, and what made it."""
    if isinstance(change, DatasetCreated):
        return FlowCause(
            CauseKind.INPUT_UPDATED,
            input=change.dataset_id,
            source=UpdateSource.COMMIT,
            head=change.head,
            records=change.records,
        )
    made_by = _FLOWS.by_run(tx, change.run_id) if change.run_id else ()
    flow = next((flow.id for flow in made_by if flow.scope == change.dataset_id), None)
    cause = FlowCause(CauseKind.INPUT_UPDATED, input=change.dataset_id, head=change.new_head, flow=flow)
    if isinstance(change, DatasetRewritten):
        cause = replace(cause, breaking=True)
    else:
        moved = change.old_watermark != change.watermark
        cause = replace(cause, records=change.new_records, watermark_moved=moved)
    if flow is not None:
        return replace(cause, source=UpdateSource.UPSTREAM_FLOW)
    if isinstance(change, DatasetUpdated) and change.push is not None:
        return replace(cause, source=UpdateSource.PUSH, push_source=change.push.source_name)
    return replace(cause, source=UpdateSource.COMMIT)
