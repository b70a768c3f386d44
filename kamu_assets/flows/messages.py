"""What flows announce."""

from typing import ClassVar

from kamu_assets.database.messages import Message
from kamu_assets.flows.model import FlowType, OutcomeKind
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash


class FlowRequested(Message):
    """A flow waits to be submitted."""

    topic: ClassVar[str] = "flow.requested"

    flow_id: str
    # What it is about, if it is about one dataset.
    dataset_id: DatasetID | None = None
    type: FlowType


class FlowCancelRequested(Message):
    """Somebody wants a running flow stopped."""

    topic: ClassVar[str] = "flow.cancel_requested"

    flow_id: str
    # What it is about, if it is about one dataset.
    dataset_id: DatasetID | None = None


class FlowFinished(Message):
    """A flow has its outcome."""

    topic: ClassVar[str] = "flow.finished"

    flow_id: str
    # What it is about, if it is about one dataset.
    dataset_id: DatasetID | None = None
    type: FlowType
    outcome: OutcomeKind
    # The dataset's head by then: what came later is not of this flow.
    head: Multihash | None = None


class TriggerChanged(Message):
    """A dataset has another trigger, or none."""

    topic: ClassVar[str] = "flow.trigger_changed"

    dataset_id: DatasetID


MESSAGES: tuple[type[Message], ...] = (FlowRequested, FlowCancelRequested, FlowFinished, TriggerChanged)
