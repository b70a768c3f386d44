"""Which datasets are computed from which."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Integer, Row, Table, delete, insert, select

from kamu_assets.database.columns import DatasetIDColumn
from kamu_assets.database.tables import metadata
from kamu_assets.database.transaction import Transaction
from kamu_assets.odf.identity import DatasetID

inputs = Table(
    "dataset_inputs",
    metadata,
    Column("dataset_id", DatasetIDColumn, primary_key=True),
    Column("position", Integer, primary_key=True),
    # Not a foreign key: an adopted derivative may name inputs that this node does not have.
    Column("input_id", DatasetIDColumn, nullable=False, index=True),
)


class Lineage:
    """The graph of the latest SetTransform of every derivative."""

    def inputs(self, tx: Transaction, dataset: DatasetID) -> Sequence[DatasetID]:
        """In the order of the transform."""
        return self.inputs_of(tx, [dataset]).get(dataset, ())

    def inputs_of(self, tx: Transaction, datasets: Collection[DatasetID]) -> Mapping[DatasetID, Sequence[DatasetID]]:
        query = select(inputs).where(inputs.c.dataset_id.in_(datasets)).order_by(inputs.c.dataset_id, inputs.c.position)
        return _by_dataset(tx.execute(query))

    def all(self, tx: Transaction) -> Mapping[DatasetID, Sequence[DatasetID]]:
        """Every derivative with its inputs, in the order of its transform."""
        return _by_dataset(tx.execute(select(inputs).order_by(inputs.c.dataset_id, inputs.c.position)))

    def dependents(self, tx: Transaction, dataset: DatasetID) -> Sequence[DatasetID]:
        """Derivatives that read the dataset directly."""
        query = select(inputs.c.dataset_id).where(inputs.c.input_id == dataset).distinct().order_by(inputs.c.dataset_id)
        return list(tx.execute(query).scalars())

    def set_inputs(self, tx: Transaction, dataset: DatasetID, to: Sequence[DatasetID]) -> None:
        """Replace the inputs."""
        tx.execute(delete(inputs).where(inputs.c.dataset_id == dataset))
        rows = [{"dataset_id": dataset, "position": position, "input_id": id_} for position, id_ in enumerate(to)]
        if rows:
            tx.execute(insert(inputs), rows)

    def find_loop(self, tx: Transaction, dataset: DatasetID, to: Sequence[DatasetID]) -> Sequence[DatasetID] | None:
        """The way from the dataset over its new inputs back to itself, if there is one."""
        reached_from: dict[DatasetID, DatasetID] = {}
        frontier: Mapping[DatasetID, Sequence[DatasetID]] = {dataset: to}
        while frontier:
            fresh = []
            for reader, read in frontier.items():
                for id_ in read:
                    if id_ == dataset:
                        return _way(dataset, reader, reached_from)
                    if id_ not in reached_from:
                        reached_from[id_] = reader
                        fresh.append(id_)
            frontier = self.inputs_of(tx, fresh) if fresh else {}
        return None


def _by_dataset(rows: Iterable[Row[Any]]) -> Mapping[DatasetID, Sequence[DatasetID]]:
    found: dict[DatasetID, list[DatasetID]] = defaultdict(list)
    for row in rows:
        found[row.dataset_id].append(row.input_id)
    return found


def _way(start: DatasetID, last: DatasetID, reached_from: Mapping[DatasetID, DatasetID]) -> Sequence[DatasetID]:
    way = [start]
    while last != start:
        way.append(last)
        last = reached_from[last]
    way.append(start)
    return way[::-1]
