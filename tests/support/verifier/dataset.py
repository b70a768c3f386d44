"""A whole dataset directory: chain from the head to the Seed, every object it names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.support.verifier.blocks import Block, read_block
from tests.support.verifier.chain import Chain, describe
from tests.support.verifier.faults import FaultError
from tests.support.verifier.multiformats import from_text, sha3, text
from tests.support.verifier.slices import check_object, check_slice


@dataclass(frozen=True)
class Verdict:
    """What a sound dataset consists of."""

    head: str
    dataset_id: str
    blocks: int
    slices: int
    records: int
    last_offset: int | None
    watermark: int | None


def verify(root: Path) -> Verdict:
    """Raise FaultError for the first thing wrong in the dataset at `root`; objects no block names are garbage."""
    chain = _walk(_load(root))
    if root.name.startswith("fed01") and chain.dataset_id != from_text(root.name):
        raise FaultError(str(root.name), "folder is named by another dataset id than the Seed's")
    records = slices = 0
    for block, columns, vocab in chain.slices:
        if block.data and block.data.checkpoint:
            check_object(root, "checkpoints", *block.data.checkpoint)
        slices += bool(block.data and block.data.slice)
        records += check_slice(root, block, columns, vocab)
    last = chain.last
    return Verdict(
        head=text(chain.head or b""),
        dataset_id="did:odf:" + text(chain.dataset_id or b""),
        blocks=chain.length,
        slices=slices,
        records=records,
        last_offset=last.last_offset if last else None,
        watermark=last.watermark if last else None,
    )


def _load(root: Path) -> list[tuple[bytes, Block]]:
    """All blocks from the head back to the first, oldest first."""
    found: list[tuple[bytes, Block]] = []
    name: bytes | None = _head(root)
    while name is not None:
        block = _block(root, name)
        found.append((name, block))
        name = block.prev
    return found[::-1]


def _head(root: Path) -> bytes:
    try:
        return from_text((root / "refs" / "head").read_text())
    except (OSError, ValueError) as error:
        raise FaultError("refs/head", str(error)) from error


def _block(root: Path, name: bytes) -> Block:
    path = root / "blocks" / text(name)
    if not path.is_file():
        raise FaultError(describe(name), "missing")
    raw = path.read_bytes()
    if sha3(raw) != name:
        raise FaultError(describe(name), f"hashes to {text(sha3(raw))}")
    try:
        return read_block(raw)
    except (ValueError, LookupError) as error:
        raise FaultError(describe(name), f"does not decode: {error}") from error


def _walk(found: list[tuple[bytes, Block]]) -> Chain:
    chain = Chain()
    for name, block in found:
        try:
            chain.follow(name, block)
        except ValueError as error:
            raise FaultError(describe(name), str(error)) from error
    return chain
