"""Why flows exist, and how causes that come together become one flow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from kamu_assets.odf.identity import AccountID, DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp


class CauseKind(StrEnum):
    """Why a flow exists."""

    MANUAL = "MANUAL"
    AUTO_POLLING = "AUTO_POLLING"
    INPUT_UPDATED = "INPUT_UPDATED"
    # The flow before it left some of its source for the next one.
    ITERATION_FINISHED = "ITERATION_FINISHED"
    DAGSTER_UI = "DAGSTER_UI"


# Somebody wants these done now.
MANUAL_KINDS = frozenset({CauseKind.MANUAL, CauseKind.DAGSTER_UI})


class UpdateSource(StrEnum):
    """What changed an input."""

    UPSTREAM_FLOW = "UPSTREAM_FLOW"
    PUSH = "PUSH"
    # Another commit that no flow made: a command, say.
    COMMIT = "COMMIT"
    # Nobody told of it: it was found when somebody looked.
    FOUND = "FOUND"


@dataclass(frozen=True, slots=True)
class FlowCause:
    """One reason: the account that asked, the rule whose time came, or the input that changed."""

    kind: CauseKind
    account: AccountID | None = None
    input: DatasetID | None = None
    at: Timestamp | None = None
    source: UpdateSource | None = None
    # The flow that changed the input.
    flow: int | None = None
    # The push source that was named, if one was.
    push_source: str | None = None
    head: Multihash | None = None
    records: int = 0
    watermark_moved: bool = False
    # What was read of the input before holds no longer.
    breaking: bool = False


def merged(causes: Sequence[FlowCause], new: FlowCause) -> Sequence[FlowCause] | None:
    """The causes with one more; None if it says nothing new.

    Changes of one input add up in one cause, however many commits there are.
    """
    for position, known in enumerate(causes):
        if _subject(known) == _subject(new):
            if _was_told(known, new):
                return None
            return (*causes[:position], _added(known, new), *causes[position + 1 :])
    return (*causes, new)


def _subject(cause: FlowCause) -> tuple[object, ...]:
    return (cause.kind, cause.account, cause.input)


def _was_told(known: FlowCause, new: FlowCause) -> bool:
    if new.kind is not CauseKind.INPUT_UPDATED:
        return True
    return _is_same_head(known, new) and (known.breaking or not new.breaking)


def _is_same_head(known: FlowCause, new: FlowCause) -> bool:
    return new.head is not None and new.head == known.head


def _added(known: FlowCause, new: FlowCause) -> FlowCause:
    return replace(
        new,
        at=known.at,
        # Up to the same head both have counted some of the same.
        records=max(known.records, new.records) if _is_same_head(known, new) else known.records + new.records,
        watermark_moved=known.watermark_moved or new.watermark_moved,
        breaking=known.breaking or new.breaking,
    )


def rewrite_found(input_: DatasetID) -> FlowCause:
    """An input turned out to be reset or compacted."""
    return FlowCause(CauseKind.INPUT_UPDATED, input=input_, source=UpdateSource.FOUND, breaking=True)


def is_manual(causes: Sequence[FlowCause]) -> bool:
    """Whether somebody asked for the flow."""
    return any(cause.kind in MANUAL_KINDS for cause in causes)
