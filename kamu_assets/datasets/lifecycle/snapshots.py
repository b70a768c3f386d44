"""From a snapshot to the events of a new dataset (ODF: DatasetSnapshot)."""

from collections.abc import Callable, Iterable, Sequence

from kamu_assets.datasets.errors import CyclicDependencyError, MissingInputsError, NameCollisionError
from kamu_assets.odf.dataset import DatasetSnapshot, MetadataEvent, SetTransform
from kamu_assets.odf.engine import TransformInput
from kamu_assets.odf.identity import AccountName, DatasetAlias, DatasetID, DatasetRef, parse_dataset_ref

FindDataset = Callable[[DatasetRef], DatasetID | None]


def resolved_events(snapshot: DatasetSnapshot, alias: DatasetAlias, find: FindDataset) -> Sequence[MetadataEvent]:
    """The events of a normalized snapshot, transform inputs pointing to identities.

    MissingInputsError names every input that `find` does not know.
    """
    _refuse_itself(snapshot, alias)
    refs = [item.dataset_ref for item in _inputs(snapshot)]
    found = {ref: find(parse_dataset_ref(ref)) for ref in refs}
    missing = [ref for ref, dataset in found.items() if dataset is None]
    if missing:
        raise MissingInputsError(missing)
    return [_resolved(event, found) for event in snapshot.metadata]


def in_order(snapshots: Sequence[DatasetSnapshot], account: AccountName) -> Sequence[DatasetSnapshot]:
    """The snapshots with inputs before what reads them; CyclicDependencyError spells the loop out."""
    named = {_full(snapshot.name, account): snapshot for snapshot in snapshots}
    if len(named) < len(snapshots):
        raise NameCollisionError(_first_repeated(snapshots, account))
    ordered: dict[DatasetAlias, DatasetSnapshot] = {}
    for alias in named:
        _visit(alias, named, ordered, account)
    return list(ordered.values())


def _visit(
    first: DatasetAlias,
    named: dict[DatasetAlias, DatasetSnapshot],
    ordered: dict[DatasetAlias, DatasetSnapshot],
    account: AccountName,
) -> None:
    # Depth first without recursion: a chain of derivatives may be long.
    way: dict[DatasetAlias, list[DatasetAlias]] = {}
    current: DatasetAlias | None = first
    while current is not None:
        if current not in way:
            way[current] = [alias for alias in _read_by(named[current], account) if alias in named]
        waiting = [alias for alias in way[current] if alias not in ordered]
        if not waiting:
            ordered[current] = named[current]
            del way[current]
            current = next(reversed(way), None)
            continue
        if waiting[0] in way:
            open_ = list(way)
            loop = [*open_[open_.index(waiting[0]) :], waiting[0]]
            raise CyclicDependencyError([str(alias) for alias in loop])
        current = waiting[0]


def _read_by(snapshot: DatasetSnapshot, account: AccountName) -> list[DatasetAlias]:
    refs = [parse_dataset_ref(item.dataset_ref) for item in _inputs(snapshot)]
    return [_full(ref, account) for ref in refs if isinstance(ref, DatasetAlias)]


def _first_repeated(snapshots: Iterable[DatasetSnapshot], account: AccountName) -> DatasetAlias:
    aliases = [_full(snapshot.name, account) for snapshot in snapshots]
    return next(alias for alias in aliases if aliases.count(alias) > 1)


def _full(alias: DatasetAlias, account: AccountName) -> DatasetAlias:
    return alias if alias.account else DatasetAlias(account, alias.name)


def _refuse_itself(snapshot: DatasetSnapshot, alias: DatasetAlias) -> None:
    if alias.account is not None and alias in _read_by(snapshot, alias.account):
        raise CyclicDependencyError([str(alias), str(alias)])


def _inputs(snapshot: DatasetSnapshot) -> list[TransformInput]:
    return [item for event in snapshot.metadata if isinstance(event, SetTransform) for item in event.inputs]


def _resolved(event: MetadataEvent, found: dict[str, DatasetID | None]) -> MetadataEvent:
    if not isinstance(event, SetTransform):
        return event
    inputs = [TransformInput(dataset_ref=str(found[item.dataset_ref]), alias=item.alias) for item in event.inputs]
    return event.model_copy(update={"inputs": tuple(inputs)})
