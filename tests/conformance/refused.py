"""Manifests that kamu refused to add."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from kamu_assets.errors import InvalidError
from kamu_assets.odf.chain_rules import check_append
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import DatasetSnapshot, MetadataBlock, MetadataEvent, Seed, SetTransform
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.serde.yaml import parse_snapshot
from kamu_assets.odf.snapshot import normalize_snapshot
from kamu_assets.odf.timestamp import Timestamp
from tests.conformance.difference import DifferenceError

PARSING = {"malformed-manifest", "unsupported-version"}
MEANING = {"invalid-snapshot"}


def check_refused(scenario: Path, expected: dict[str, Any], described: dict[str, Any]) -> None:
    """A manifest refused as text must not parse; one refused for its meaning parses, but makes no chain."""
    errors = {step["id"]: step.get("kind") for step in expected["steps"] if step["outcome"] == "error"}
    refused = [step for step in described["steps"] if step["id"] in errors and step["op"] == "add"]
    if not refused:
        raise DifferenceError("neither a dataset nor a refused manifest to read")
    for step in refused:
        kind, text = errors[step["id"]], (scenario / step["manifest"]).read_text()
        refusal = _refusal(text)
        wanted = "parse" if kind in PARSING else "build" if kind in MEANING else f"unknown kind {kind}"
        if refusal != wanted:
            raise DifferenceError(f"{step['id']}: theirs refused as {kind}, ours at: {refusal}")


def _refusal(text: str) -> str:
    try:
        snapshot = parse_snapshot(text)
    except InvalidError:
        return "parse"
    try:
        _build(snapshot)
    except InvalidError:
        return "build"
    return "nothing"


def _build(snapshot: DatasetSnapshot) -> None:
    """The first chain of the dataset, as `add` makes it (ODF: DatasetSnapshot)."""
    normal = normalize_snapshot(snapshot)
    seed = Seed(dataset_id=DatasetID.seeded(b"refused"), dataset_kind=normal.kind)
    state, time = ChainState.empty(), Timestamp(0)
    for number, event in enumerate([seed, *map(_resolved, normal.metadata)]):
        block = MetadataBlock(system_time=time, prev_block_hash=state.head, sequence_number=number, event=event)
        check_append(state, block)
        state = state.extend(Multihash.sha3_256(str(number).encode()), block)


def _resolved(event: MetadataEvent) -> MetadataEvent:
    """With IDs for inputs: that the input of this manifest does not exist here is no reason to refuse it."""
    if not isinstance(event, SetTransform):
        return event
    ids = [DatasetID.seeded(hashlib.sha256(item.dataset_ref.encode()).digest()) for item in event.inputs]
    inputs = [item.model_copy(update={"dataset_ref": str(id_)}) for item, id_ in zip(event.inputs, ids, strict=True)]
    return event.model_copy(update={"inputs": tuple(inputs)})
