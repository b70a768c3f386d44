"""A chain of many blocks: walking it, opening it cold, appending to it."""

from __future__ import annotations

import hashlib
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from kamu_assets.datasets.chains.stored import hashes_to
from kamu_assets.node import Node, open_node
from kamu_assets.odf.dataset import SetInfo
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.flatbuffers import decode_header
from kamu_assets.settings import load_settings
from tests.bench.subject import expect
from tests.support.manifests import a_manifest

LONG = DatasetAlias.parse("kamu/long")
_LINK = struct.Struct("<32s")


@dataclass(frozen=True, slots=True)
class LongChain:
    """A dataset of a node, and its blocks in memory."""

    node: Node
    dataset: DatasetID
    head: Multihash
    blocks: dict[Multihash, bytes]
    by_digest: dict[bytes, bytes]
    # Where in each block the link to the one before it is.
    links: dict[bytes, int]


@contextmanager
def long_chain(folder: Path, *, length: int) -> Iterator[LongChain]:
    """Blocks of 200 commits each time, which is only quicker than one by one."""
    with open_node(load_settings(folder, storage={"durability": "fast"})) as node:
        entry = node.datasets.create_from_snapshot(node.auth.admin_caller(), a_manifest("long", "Root"))
        made = node.chains.state(entry.id).sequence_number + 1
        for start in range(made, length, 200):
            append(node, entry.id, range(start, min(start + 200, length)))
        store = node.volumes.blocks(entry.kind)
        blocks = {name: store.get(entry.id, name) for name in store.list(entry.id)}
        by_digest = {name.digest: raw for name, raw in blocks.items()}
        links = {name.digest: _link(raw) for name, raw in blocks.items()}
        yield LongChain(node, entry.id, node.chains.head(entry.id), blocks, by_digest, links)


def _link(raw: bytes) -> int:
    previous = decode_header(raw).prev_block_hash
    return raw.index(previous.digest) if previous else 0


def append(node: Node, dataset: DatasetID, numbers: Sequence[int]) -> None:
    events = [SetInfo(description=f"block {number}") for number in numbers]
    node.committer.commit(dataset, expected_head=None, events=events, system_time=node.clock.now())


def walk(chain: LongChain) -> int:
    """By the links, each block checked against its hash."""
    return len(hashes_to(chain.head, chain.blocks.__getitem__))


def walk_files(chain: LongChain) -> int:
    """The same from the files."""
    store = chain.node.volumes.blocks(chain.node.datasets.resolve(chain.node.auth.admin_caller(), LONG).kind)
    return len(hashes_to(chain.head, lambda name: store.get(chain.dataset, name)))


def walk_by_hand(chain: LongChain) -> int:
    """The least: one hash and one look at a link for each block, where the links are being known before."""
    count, name = 0, chain.head.digest
    while name:
        raw = chain.by_digest[name]
        if hashlib.sha3_256(raw).digest() != name:
            raise ValueError(name)
        count += 1
        place = chain.links.get(name)
        name = _LINK.unpack_from(raw, place)[0] if place else b""
    return count


def open_cold(chain: LongChain) -> float:
    """Seconds until another opening of the same home knows the state of the chain."""
    began = time.perf_counter()
    with open_node(chain.node.settings) as node:
        state = node.chains.state(chain.dataset)
        took = time.perf_counter() - began
    expect("head", found=state.head, wanted=chain.head)
    return took


def append_times(node: Node, dataset: DatasetID, count: int) -> float:
    """The median of single commits."""
    return median(_timed(lambda number=number: append(node, dataset, [number])) for number in range(count))  # type: ignore[misc] # mypy cannot infer lambdas with defaults


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
