"""What a chain says so far: everything needed to judge its next block, gathered in one walk."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self, assert_never

from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.dataset import (
    AddData,
    AddPushSource,
    Checkpoint,
    DisablePollingSource,
    DisablePushSource,
    ExecuteTransform,
    MetadataBlock,
    MetadataEvent,
    Seed,
    SetAttachments,
    SetDataSchema,
    SetInfo,
    SetLicense,
    SetPollingSource,
    SetTransform,
    SetVocab,
)
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.source import SourceState
from kamu_assets.odf.timestamp import Timestamp

_NEVER = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainState:
    """The newest of everything in a chain."""

    head: Multihash | None = None
    sequence_number: int = _NEVER
    system_time: Timestamp | None = None
    seed: Seed | None = None
    schema: SetDataSchema | None = None
    set_vocab: SetVocab | None = None
    polling_source: SetPollingSource | None = None
    push_sources: Mapping[str, AddPushSource] = field(default_factory=dict)
    transform: SetTransform | None = None
    last_data: AddData | ExecuteTransform | None = None
    last_transform: ExecuteTransform | None = None
    source_state: SourceState | None = None
    info: SetInfo | None = None
    license: SetLicense | None = None
    attachments: SetAttachments | None = None
    # Sequence numbers: which of them came last matters to one rule.
    schema_at: int = _NEVER
    transform_at: int = _NEVER
    last_transform_at: int = _NEVER

    @classmethod
    def empty(cls) -> Self:
        """Nothing has happened yet."""
        return cls()

    def extend(self, block_hash: Multihash, block: MetadataBlock) -> Self:
        """The state after one more block, which is not checked."""
        after = replace(
            self,
            head=block_hash,
            sequence_number=block.sequence_number,
            system_time=block.system_time,
        )
        return after._apply(block.event)  # noqa: SLF001 - the same class

    @property
    def schema_is_legacy(self) -> bool:
        """Whether the schema is a bare Arrow one."""
        return self.schema is not None and self.schema.raw_arrow_schema is not None

    @property
    def vocab(self) -> DatasetVocabulary:
        """Names of the system columns, defaults filled in."""
        return self.set_vocab.to_vocabulary() if self.set_vocab else DatasetVocabulary()

    @property
    def last_offset(self) -> int | None:
        """Offset of the last record."""
        return self.last_data.last_offset if self.last_data else None

    @property
    def next_offset(self) -> int:
        """Offset of the next record."""
        return 0 if self.last_offset is None else self.last_offset + 1

    @property
    def watermark(self) -> Timestamp | None:
        """Event time up to which the data is complete."""
        return self.last_data.new_watermark if self.last_data else None

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Engine state left by the last data event."""
        return self.last_data.new_checkpoint if self.last_data else None

    def _apply(self, event: MetadataEvent) -> Self:  # noqa: C901, PLR0911, PLR0912 - one line per event
        at = self.sequence_number
        match event:
            case AddData():
                # An event that only moves the watermark does not make the source forget.
                state = event.new_source_state or self.source_state
                return replace(self, last_data=event, source_state=state)
            case ExecuteTransform():
                return replace(self, last_data=event, last_transform=event, last_transform_at=at)
            case Seed():
                return replace(self, seed=event)
            case SetPollingSource():
                return replace(self, polling_source=event)
            case SetTransform():
                return replace(self, transform=event, transform_at=at)
            case SetVocab():
                return replace(self, set_vocab=event)
            case SetAttachments():
                return replace(self, attachments=event)
            case SetInfo():
                return replace(self, info=event)
            case SetLicense():
                return replace(self, license=event)
            case SetDataSchema():
                return replace(self, schema=event, schema_at=at)
            case AddPushSource():
                return replace(self, push_sources={**self.push_sources, event.source_name: event})
            case DisablePushSource():
                kept = {name: source for name, source in self.push_sources.items() if name != event.source_name}
                return replace(self, push_sources=kept)
            case DisablePollingSource():
                return replace(self, polling_source=None)
            case _:
                assert_never(event)
