"""What an engine was asked when a block was made, asked once more (ODF: ExecuteTransform)."""

from dataclasses import dataclass
from pathlib import Path

from kamu_assets.coordinator.schema_message import schema_message
from kamu_assets.coordinator.verify.chain_walk import WalkedBlock
from kamu_assets.coordinator.verify.input_chains import InputPart
from kamu_assets.coordinator.verify.model import Place
from kamu_assets.coordinator.verify.slices import place_of
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.engines.engine import TransformRequest, TransformRequestInput, Watermark
from kamu_assets.errors import InvalidError
from kamu_assets.odf.data import OffsetInterval
from kamu_assets.odf.dataset import ExecuteTransform, SetTransform
from kamu_assets.odf.engine import TransformSql, normalize_transform
from kamu_assets.odf.identity import parse_dataset_ref
from kamu_assets.storage.layout import checkpoint_key, data_key
from kamu_assets.storage.volumes import Volumes


@dataclass(frozen=True, slots=True)
class Replay:
    """One ExecuteTransform to execute again."""

    walked: WalkedBlock
    event: ExecuteTransform
    # In force when the block was made.
    set_transform: SetTransform
    parts: tuple[InputPart, ...]

    @classmethod
    def of(cls, walked: WalkedBlock, event: ExecuteTransform, parts: tuple[InputPart, ...]) -> "Replay":
        """The rules of chains let no ExecuteTransform come before a SetTransform."""
        if walked.before.transform is None:
            raise ValueError("ExecuteTransform without SetTransform")
        return cls(walked, event, walked.before.transform, parts)

    @property
    def transform(self) -> TransformSql:
        """Its queries, normalized."""
        return normalize_transform(self.set_transform.transform)

    @property
    def place(self) -> Place:
        """The block that holds the result."""
        return place_of(self.walked)

    def alias(self, part: InputPart) -> str:
        """What queries call an input."""
        for said in self.set_transform.inputs:
            if parse_dataset_ref(said.dataset_ref) == part.entry.id and said.alias is not None:
                return said.alias
        return str(part.entry.alias.name)


def request_of(
    replay: Replay, entry: DatasetEntry, volumes: Volumes, *, data: Path, checkpoint: Path
) -> TransformRequest:
    """The request as it was, but for where the result goes."""
    before, event = replay.walked.before, replay.event
    previous = None
    if event.prev_checkpoint is not None:
        store = volumes.for_kind(entry.kind)
        previous = Path(store.location(checkpoint_key(entry.id, event.prev_checkpoint)))
    return TransformRequest(
        dataset_id=entry.id,
        dataset_alias=entry.alias,
        system_time=replay.walked.block.system_time,
        vocab=before.vocab,
        transform=replay.transform,
        query_inputs=tuple(_input(replay, part, volumes) for part in replay.parts),
        next_offset=before.next_offset,
        prev_checkpoint_path=previous,
        new_checkpoint_path=checkpoint,
        new_data_path=data,
    )


def _input(replay: Replay, part: InputPart, volumes: Volumes) -> TransformRequestInput:
    if part.schema is None:
        raise InvalidError(f"input {part.entry.alias} had no schema yet")
    store, slices = volumes.for_kind(part.entry.kind), part.interval.slices
    offsets = None
    if slices:
        offsets = OffsetInterval(start=slices[0].offset_interval.start, end=slices[-1].offset_interval.end)
    return TransformRequestInput(
        dataset_id=part.entry.id,
        dataset_alias=part.entry.alias,
        query_alias=replay.alias(part),
        vocab=part.vocab,
        offset_interval=offsets,
        data_paths=tuple(store.location(data_key(part.entry.id, each.physical_hash)) for each in slices),
        schema=schema_message(part.schema),
        explicit_watermarks=tuple(Watermark(mark.system_time, mark.watermark) for mark in part.interval.watermarks),
    )
