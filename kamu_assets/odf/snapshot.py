"""From a manifest to the first events of a chain (ODF: DatasetSnapshot)."""

from typing import assert_never

from kamu_assets.errors import InvalidError
from kamu_assets.odf.dataset import (
    AddData,
    AddPushSource,
    DatasetSnapshot,
    DisablePollingSource,
    DisablePushSource,
    ExecuteTransform,
    MetadataEvent,
    Seed,
    SetAttachments,
    SetDataSchema,
    SetInfo,
    SetLicense,
    SetPollingSource,
    SetTransform,
    SetVocab,
)
from kamu_assets.odf.engine import InvalidTransformError, normalize_transform
from kamu_assets.odf.identity import DatasetKind


class InvalidSnapshotError(InvalidError):
    """The manifest cannot become a dataset."""


def normalize_snapshot(snapshot: DatasetSnapshot) -> DatasetSnapshot:
    """Check which events a manifest may hold, and bring its transforms to the form that chains hold.

    Inputs without an alias get their reference as one; resolving references is up to the caller.
    """
    try:
        events = tuple(_normalized(event, snapshot.kind) for event in snapshot.metadata)
    except InvalidTransformError as error:
        raise InvalidSnapshotError(f"invalid snapshot: {error}") from error
    return snapshot.model_copy(update={"metadata": events})


def _normalized(event: MetadataEvent, kind: DatasetKind) -> MetadataEvent:
    match event:
        case SetPollingSource() | AddPushSource():
            _require(kind, DatasetKind.ROOT, event)
            preprocess = normalize_transform(event.preprocess) if event.preprocess else None
            return event.model_copy(update={"preprocess": preprocess})
        case SetTransform():
            _require(kind, DatasetKind.DERIVATIVE, event)
            inputs = tuple(
                item if item.alias is not None else item.model_copy(update={"alias": item.dataset_ref})
                for item in event.inputs
            )
            return event.model_copy(update={"inputs": inputs, "transform": normalize_transform(event.transform)})
        case Seed() | AddData() | ExecuteTransform() | DisablePushSource() | DisablePollingSource():
            raise InvalidSnapshotError(f"invalid snapshot: {event.kind} is not allowed in a manifest")
        case SetVocab() | SetAttachments() | SetInfo() | SetLicense() | SetDataSchema():
            return event
        case _:
            assert_never(event)


def _require(given: DatasetKind, wanted: DatasetKind, event: MetadataEvent) -> None:
    if given is not wanted:
        only = wanted.lower()
        raise InvalidSnapshotError(f"invalid snapshot: {event.kind} is only allowed on {only} datasets")
