"""The event that a replay would have committed, and in what it differs from the one that was (ODF-FACTS 9.4)."""

from kamu_assets.engines.engine import TransformSuccess
from kamu_assets.odf.dataset import DataSlice, ExecuteTransform


def event_of(recorded: ExecuteTransform, answer: TransformSuccess) -> ExecuteTransform:
    """The recorded event with what was computed again.

    Files may differ from engine to engine, so hash and size of the slice's file are taken as recorded, and so is the
    checkpoint.
    """
    data, stats, interval = None, answer.stats, answer.new_offset_interval
    if interval is not None and stats is not None:
        said = recorded.new_data
        data = DataSlice(
            logical_hash=stats.logical_hash,
            physical_hash=said.physical_hash if said else stats.physical_hash,
            offset_interval=interval,
            size=said.size if said else stats.size,
        )
    return recorded.model_copy(update={"new_data": data, "new_watermark": answer.new_watermark})


def differences(recorded: ExecuteTransform, found: ExecuteTransform) -> dict[str, tuple[str, str]]:
    """What differs, with the recorded and the new value in words."""
    one, other = _facts(recorded), _facts(found)
    return {name: (one[name], other[name]) for name in one if one[name] != other[name]}


def _facts(event: ExecuteTransform) -> dict[str, str]:
    data = event.new_data
    return {
        "offset interval": f"{data.offset_interval.start} to {data.offset_interval.end}" if data else "no rows",
        "logical hash": str(data.logical_hash) if data else "no rows",
        "watermark": str(event.new_watermark or "no watermark"),
    }
