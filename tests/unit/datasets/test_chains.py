from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from kamu_assets.coordinator.garbage import CollectOptions, GarbageCollection
from kamu_assets.coordinator.resetting import ResetOptions
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.errors import ChainReplacedError, DatasetNotFoundError, InvalidBlockIntervalError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import AddData, SetInfo
from kamu_assets.odf.source import SourceState
from kamu_assets.storage.errors import DamagedBlockError, ObjectNotFoundError
from kamu_assets.storage.layout import block_key
from kamu_assets.storage.local import LocalObjectStore
from tests.support.builders import START, a_dataset_id, a_hash, a_schema
from tests.support.coordination import a_reorganization
from tests.support.heart import ADMIN, Heart, an_entry, open_heart

DATASET = an_entry().id


def grown(heart: Heart, length: int) -> None:
    """The dataset with so many more metadata blocks."""
    events = [SetInfo(description=str(number)) for number in range(length)]
    heart.committer.commit(DATASET, expected_head=None, events=events, system_time=START)


def afresh(heart: Heart) -> Chains:
    """Chains that have nothing in memory."""
    return Chains(database=heart.database, volumes=heart.volumes)


def test_a_state_loaded_afresh_is_the_one_of_a_walk(heart: Heart) -> None:
    heart.dataset()
    grown(heart, 3)
    state = SourceState(source_name="http", kind="odf/etag", value="1")
    event = AddData(new_watermark=START, new_source_state=state)
    heart.committer.commit(DATASET, expected_head=None, events=[event], system_time=START)
    heart.add_data(DATASET)
    heart.add_data(DATASET)
    walked = ChainState.empty()
    for found in heart.chains.blocks(DATASET, newest_first=False):
        walked = walked.extend(found.block_hash, found.block)

    assert afresh(heart).state(DATASET) == walked == heart.chains.state(DATASET)
    assert walked.source_state == state


class CountingStore(LocalObjectStore):
    reads = 0

    def get(self, key: str) -> bytes:
        self.reads += 1
        return super().get(key)


@pytest.mark.parametrize("length", [1, 500])
def test_loading_a_state_reads_as_few_blocks_of_a_long_chain_as_of_a_short_one(tmp_path: Path, length: int) -> None:
    heart = open_heart(tmp_path, store_class=CountingStore)
    heart.dataset()
    grown(heart, length)
    store = heart.volumes.root
    assert isinstance(store, CountingStore)
    store.reads = 0

    chains = afresh(heart)
    chains.state(DATASET)
    chains.state(DATASET)

    assert store.reads == 3


def test_memory_of_states_is_bounded(heart: Heart) -> None:
    chains = Chains(database=heart.database, volumes=heart.volumes, cached_states=2)
    entries = [heart.dataset(name) for name in ("a", "b", "c")]

    for entry in entries:
        chains.state(entry.id)

    assert len(chains._states._states) == 2


def test_blocks_come_in_pages_from_either_end(heart: Heart) -> None:
    heart.dataset()
    grown(heart, 450)

    newest = [found.block.sequence_number for found in heart.chains.blocks(DATASET)]
    oldest = [found.block.sequence_number for found in heart.chains.blocks(DATASET, newest_first=False, start=2)]

    assert newest == list(range(451, -1, -1))
    assert oldest == list(range(2, 452))


def test_who_looks_at_the_newest_blocks_reads_no_others(tmp_path: Path) -> None:
    """DS-19"""
    heart = open_heart(tmp_path, store_class=CountingStore)
    heart.dataset()
    grown(heart, 450)
    store = heart.volumes.root
    assert isinstance(store, CountingStore)
    store.reads = 0

    newest = [found.block.sequence_number for found in islice(heart.chains.blocks(DATASET), 5)]

    assert newest == [451, 450, 449, 448, 447]
    assert store.reads <= len(newest)


def test_an_interval_tells_slices_and_watermarks_without_reading_blocks(tmp_path: Path) -> None:
    heart = open_heart(tmp_path, store_class=CountingStore)
    heart.dataset()
    first = heart.add_data(DATASET, records=3)
    grown(heart, 1)
    second = heart.add_data(DATASET, records=2)
    store = heart.volumes.root
    assert isinstance(store, CountingStore)
    store.reads = 0

    everything = heart.chains.interval(DATASET, after=None, until=second)
    news = heart.chains.interval(DATASET, after=first, until=second)

    assert store.reads == 0
    assert [found.block_hash for found in everything.slices] == [first, second]
    assert [(found.offset_interval.start, found.offset_interval.end) for found in news.slices] == [(3, 4)]
    assert [(mark.system_time, mark.watermark) for mark in everything.watermarks] == [(START, START)] * 2
    assert heart.chains.interval(DATASET, after=second, until=second).slices == ()


def test_an_interval_outside_of_the_chain_is_refused(heart: Heart) -> None:
    heart.dataset()
    first = heart.add_data(DATASET)
    second = heart.add_data(DATASET)

    for after, until in [(a_hash("elsewhere"), second), (first, a_hash("elsewhere")), (second, first)]:
        with pytest.raises(InvalidBlockIntervalError, match="invalid block interval"):
            heart.chains.interval(DATASET, after=after, until=until)


def test_a_damaged_block_is_noticed_when_it_is_read(heart: Heart) -> None:
    heart.dataset("dataset", a_schema())
    head = heart.chains.head(DATASET)
    raw = heart.volumes.root.get(block_key(DATASET, head))
    heart.volumes.root.put(block_key(DATASET, head), raw[:-1] + b"x")

    with pytest.raises(DamagedBlockError, match=str(head)):
        afresh(heart).state(DATASET)


def test_an_unknown_dataset_has_no_state(heart: Heart) -> None:
    with pytest.raises(DatasetNotFoundError):
        heart.chains.state(a_dataset_id("nobody"))


def test_a_chain_that_is_replaced_and_collected_while_it_is_read(heart: Heart) -> None:
    entry = heart.dataset("log")
    first = heart.chains.head(entry.id)
    heart.add_data(entry.id)
    blocks = heart.chains.blocks(entry.id, newest_first=False)
    next(blocks)
    a_reorganization(heart).reset(ADMIN, entry.id, ResetOptions(new_head=first))
    GarbageCollection(heart.datasets, heart.database, heart.volumes, heart.clock).collect(
        ADMIN, entry.id, CollectOptions(grace_seconds=0)
    )

    with pytest.raises(ChainReplacedError, match="was rewritten while it was read"):
        list(blocks)


def test_a_block_that_is_lost_is_not_said_to_be_replaced(heart: Heart) -> None:
    entry = heart.dataset("log")
    heart.volumes.root.delete(block_key(entry.id, heart.chains.head(entry.id)))

    with pytest.raises(ObjectNotFoundError):
        list(heart.chains.blocks(entry.id))
