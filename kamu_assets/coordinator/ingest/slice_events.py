"""From a finished slice to the events that record it: pure (ODF: AddData)."""

from dataclasses import dataclass

from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import DataSchema
from kamu_assets.odf.dataset import AddData, DataSlice, MetadataEvent, SetDataSchema
from kamu_assets.odf.source import SourceState
from kamu_assets.odf.timestamp import Timestamp


@dataclass(frozen=True, slots=True)
class NewData:
    """What one ingest found."""

    # Columns as the new data has them; None when it had not even those.
    schema: DataSchema | None = None
    data_slice: DataSlice | None = None
    max_event_time: Timestamp | None = None
    source_state: SourceState | None = None


def schema_of(chain: ChainState) -> DataSchema | None:
    """The schema of a dataset in today's form."""
    if chain.schema is None:
        return None
    if chain.schema.raw_arrow_schema is not None:
        from kamu_assets.odf.arrow_schema import upgrade_legacy_schema

        return upgrade_legacy_schema(chain.schema.raw_arrow_schema)
    return chain.schema.schema_


def plan_events(chain: ChainState, new: NewData) -> tuple[MetadataEvent, ...]:
    """The events to commit; none when there is nothing to tell."""
    events: list[MetadataEvent] = []
    if chain.schema is None and new.schema is not None:
        events.append(SetDataSchema(schema_=new.schema))
    watermark = _later(chain.watermark, new.max_event_time)
    unchanged = watermark == chain.watermark and new.source_state == chain.source_state
    if new.data_slice is not None or not unchanged:
        events.append(_add_data(chain, new.data_slice, watermark, new.source_state))
    return tuple(events)


def plan_watermark(chain: ChainState, watermark: Timestamp) -> tuple[MetadataEvent, ...]:
    """An explicit watermark is taken as given; one that is not later changes nothing.

    The source state is repeated, so that readers who look at the newest event only do not forget it.
    """
    if chain.watermark is not None and watermark <= chain.watermark:
        return ()
    return (_add_data(chain, None, watermark, chain.source_state),)


def _add_data(
    chain: ChainState, data_slice: DataSlice | None, watermark: Timestamp | None, state: SourceState | None
) -> AddData:
    return AddData(
        prev_checkpoint=chain.checkpoint.physical_hash if chain.checkpoint else None,
        prev_offset=chain.last_offset,
        new_data=data_slice,
        new_watermark=watermark,
        new_source_state=state,
    )


def _later(old: Timestamp | None, new: Timestamp | None) -> Timestamp | None:
    return new if old is None else old if new is None else max(old, new)
