"""Creation and deletion by several at once, on every database."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from kamu_assets.datasets.errors import MissingInputsError, NameCollisionError
from kamu_assets.errors import ConflictError, KamuError
from kamu_assets.odf.dataset import DatasetKind, DatasetSnapshot, SetTransform
from kamu_assets.odf.engine import TransformInput, TransformSql
from kamu_assets.odf.identity import DatasetAlias
from tests.support.heart import ADMIN, open_heart

WRITERS = 4
ROUNDS = 5


def a_snapshot(name: str, *inputs: str) -> DatasetSnapshot:
    transform = SetTransform(
        inputs=tuple(TransformInput(dataset_ref=ref) for ref in inputs),
        transform=TransformSql(engine="datafusion", query="select 1"),
    )
    kind = DatasetKind.DERIVATIVE if inputs else DatasetKind.ROOT
    return DatasetSnapshot(name=DatasetAlias.parse(name), kind=kind, metadata=(transform,) if inputs else ())


def test_of_several_that_want_a_name_one_gets_it(tmp_path: Path, migrated_url: str) -> None:
    heart = open_heart(tmp_path, url=migrated_url)
    start = Barrier(WRITERS)

    def create(name: str) -> str:
        start.wait()
        try:
            heart.datasets.create_from_snapshot(ADMIN, a_snapshot(name))
        except NameCollisionError:
            return "collision"
        return "created"

    with ThreadPoolExecutor(WRITERS) as pool:
        outcomes = Counter(pool.map(create, ["weather", "Weather", "WEATHER", "weatheR"]))

    assert outcomes == {"created": 1, "collision": WRITERS - 1}
    [entry] = heart.datasets.list(ADMIN)
    assert list(heart.volumes.root.folders()) == [entry.id.as_multibase]
    heart.database.close()


def test_an_input_is_not_deleted_while_a_reader_is_created(tmp_path: Path, migrated_url: str) -> None:
    heart = open_heart(tmp_path, url=migrated_url)
    start = Barrier(2)

    def attempt(action: str, name: str) -> KamuError | None:
        start.wait()
        try:
            if action == "delete":
                heart.datasets.delete(ADMIN, DatasetAlias.parse(name))
            else:
                heart.datasets.create_from_snapshot(ADMIN, a_snapshot(f"{name}-reader", name))
        except KamuError as error:
            return error
        return None

    for number in range(ROUNDS):
        name = f"root-{number}"
        heart.datasets.create_from_snapshot(ADMIN, a_snapshot(name))
        with ThreadPoolExecutor(2) as pool:
            deleted, created = pool.map(attempt, ["delete", "create"], [name, name])
        names = {str(entry.name) for entry in heart.datasets.list(ADMIN)}
        if deleted is None:
            assert isinstance(created, MissingInputsError)
            assert not names & {name, f"{name}-reader"}
        else:
            assert isinstance(deleted, ConflictError)
            assert created is None
            assert names >= {name, f"{name}-reader"}
    heart.database.close()
