"""What must hold whenever a node is opened again, whatever happened before."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path

from kamu_assets.auth.model import ANONYMOUS
from kamu_assets.datasets.chains.stored import read_chain
from kamu_assets.datasets.doctor.findings import Finding, FindingKind
from kamu_assets.datasets.files import DatasetFiles
from kamu_assets.datasets.messages import DatasetCreated, DatasetRewritten, DatasetUpdated
from kamu_assets.datasets.model import DatasetSummary
from kamu_assets.errors import KamuError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.identity import DatasetKind
from tests.support.heart import Heart, open_heart
from tests.support.verifier.dataset import verify
from tests.support.verifier.faults import FaultError

# What an interrupted commit may leave: files that no block names.
HARMLESS = {FindingKind.UNREACHABLE}


class ViolationError(AssertionError):
    """What must hold after every failure does not."""


def violation_in(home: Path, acknowledged: Collection[str] = (), *, url: str | None = None) -> str | None:
    """Open the home as a node would, repair it as its start does, look at everything; None when all is well."""
    try:
        heart = open_heart(home, url=url)
    except KamuError as error:
        return f"the node does not open: {error}"
    try:
        check(heart, acknowledged)
    except ViolationError as found:
        return str(found)
    except (KamuError, FaultError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        heart.database.close()
    return None


def check(heart: Heart, acknowledged: Collection[str] = ()) -> None:
    """Raise ViolationError, or what reading says."""
    heart.datasets.repair_heads()
    summaries = heart.datasets.summaries(ANONYMOUS)
    stored: set[str] = set()
    for summary in summaries:
        chain = _sound_chain(heart, summary)
        stored |= chain
    demand(set(acknowledged) <= stored, "an acknowledged commit is lost")
    _check_doctor(heart)
    _check_messages(heart, summaries)
    for summary in summaries:
        _check_goes_on(heart, summary)


def demand(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not holds:
        raise ViolationError(otherwise)


def _sound_chain(heart: Heart, summary: DatasetSummary) -> set[str]:
    """The hashes of a dataset whose blocks and objects are whole, by our rules and by the independent verifier."""
    entry = summary.entry
    chain = read_chain(summary.head, partial(heart.volumes.blocks(entry.kind).get, entry.id))
    files = DatasetFiles.of(heart.volumes, entry)
    demand(files.head() == summary.head, "refs/head was not repaired")
    for block in chain.blocks:
        files.check_contents(block, on_bytes=lambda _: None)
    verdict = verify(Path(heart.datasets.storage_location(entry)))
    demand(verdict.records == summary.statistics.records, "the statistics count other records than the slices hold")
    demand(heart.chains.state(entry.id) == chain.state, "the state of the chain is not what its blocks say")
    return {str(block.block_hash) for block in chain.blocks}


def _check_doctor(heart: Heart) -> None:
    unrepaired = [found for found in heart.doctor.repair() if not found.repaired and found.kind not in HARMLESS]
    demand(not unrepaired, f"the doctor cannot repair {_told(unrepaired)}")
    again = [found for found in heart.doctor.repair(dry_run=True) if found.kind not in HARMLESS]
    demand(not again, f"the doctor repaired in vain: {_told(again)}")


def _told(findings: Sequence[Finding]) -> str:
    return "; ".join(f"{found.kind}: {found.message}" for found in findings)


def _check_messages(heart: Heart, summaries: Sequence[DatasetSummary]) -> None:
    """A head that moved was announced, and none other."""
    last = {}
    position = 0
    while told := heart.outbox.read("aftermath", limit=10_000_000):
        for delivery in told:
            match delivery.message:
                case DatasetCreated(dataset_id=dataset, head=head) | DatasetUpdated(dataset_id=dataset, new_head=head):
                    last[dataset] = head
                case DatasetRewritten(dataset_id=dataset, new_head=head):
                    last[dataset] = head
        position = told[-1].id
        with heart.database.transaction() as tx:
            heart.outbox.advance(tx, "aftermath", position)
    heads = {found.entry.id: found.head for found in summaries}
    demand({dataset: last.get(dataset) for dataset in heads} == heads, f"announced {last}, not {heads}")


def _check_goes_on(heart: Heart, summary: DatasetSummary) -> None:
    dataset = summary.entry.id
    before = heart.chains.state(dataset)
    head = _append(heart, summary, before)
    demand(heart.chains.head(dataset) == head, "the next commit is not visible")
    after = heart.chains.state(dataset)
    demand(after.sequence_number == before.sequence_number + 1, "the next commit fails")
    verify(Path(heart.datasets.storage_location(summary.entry)))


def _append(heart: Heart, summary: DatasetSummary, state: ChainState) -> object:
    if summary.entry.kind is DatasetKind.ROOT and state.schema is not None and len(_columns(state)) == _SYSTEM_COLUMNS:
        return heart.add_data(summary.entry.id, records=2)
    note = SetInfo(description=f"after {state.sequence_number}")
    now = heart.now(state.system_time)
    return heart.committer.commit(summary.entry.id, expected_head=state.head, events=[note], system_time=now).new_head


_SYSTEM_COLUMNS = 4


def _columns(state: ChainState) -> Sequence[object]:
    return state.schema.schema_.fields if state.schema and state.schema.schema_ else ()
