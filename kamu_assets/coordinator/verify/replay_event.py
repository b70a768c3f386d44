"""The event that a replay would commit, and how it differs from the one that was (ODF: Transaction Validity)."""

from kamu_assets.engines.engine import TransformSuccess
from kamu_assets.odf.dataset import DataSlice, ExecuteTransform
from kamu_assets.odf.multihash import Multihash


def event_of(recorded: ExecuteTransform, answer: TransformSuccess) -> ExecuteTransform:
    """The recorded event with what was computed again.

    Files may differ from engine to engine, so hash and size of the slice's file are taken as recorded, and so is the
    checkpoint.
    """
    data, said, interval, logical_hash = None, recorded.new_data, answer.new_offset_interval, hash_of(answer)
    if interval is not None and logical_hash is not None:
        size, physical_hash = (said.size, said.physical_hash) if said else (0, logical_hash)
        data = DataSlice(logical_hash=logical_hash, physical_hash=physical_hash, offset_interval=interval, size=size)
    return recorded.model_copy(update={"new_data": data, "new_watermark": answer.new_watermark})


def hash_of(answer: TransformSuccess) -> Multihash | None:
    """The logical hash of the new rows, however the engine told it."""
    return answer.stats.logical_hash if answer.stats else answer.logical_hash


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
