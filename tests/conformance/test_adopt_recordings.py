"""Every dataset that a real kamu wrote can be taken in, its rows looked at, and its chain is understood."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kamu_assets.coordinator.adoption import AdoptOptions
from kamu_assets.datasets.doctor.findings import FindingKind
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from tests.support.coordination import a_coordinator
from tests.support.heart import ADMIN, Heart, open_heart


def test_every_recorded_dataset_is_adopted(tmp_path: Path, reference: Path) -> None:
    heart = open_heart(tmp_path)
    coordinator = a_coordinator(heart, base=tmp_path)
    wrong = []

    directories = list(recorded(reference))
    for number, directory in enumerate(directories):
        entry = coordinator.adopt(ADMIN, directory, AdoptOptions(DatasetAlias.parse(f"kamu/dataset-{number}")))
        if heart.chains.state(entry.id) != walked(heart, entry.id):
            wrong.append(str(directory))

    assert len(directories) > 300
    assert wrong == []
    # Refused appends and resets of kamu left blocks behind; everything else is sound.
    assert {found.kind for found in heart.doctor.repair(dry_run=True)} <= {FindingKind.UNREACHABLE}


def recorded(reference: Path) -> Iterator[Path]:
    for head in sorted((reference / "odf" / "recorded").glob("**/refs/head")):
        yield head.parents[1]


def walked(heart: Heart, dataset: DatasetID) -> ChainState:
    """The state by reading every block, which the block index spares us."""
    state = ChainState.empty()
    for found in heart.chains.blocks(dataset, newest_first=False):
        state = state.extend(found.block_hash, found.block)
    return state
