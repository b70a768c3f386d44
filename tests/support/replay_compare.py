"""What must be equal in a replay, and how our errors are called in recordings."""

from collections.abc import Mapping
from typing import Any

from kamu_assets.errors import KamuError

# Block hashes depend on the dataset id.
_IGNORED = {"datasetId", "physicalHash", "size", "prevBlockHash"}
_KINDS = {
    "NoOpEventError": "no-op-event",
    "SystemTimeIsNotMonotonicError": "system-time-not-monotonic",
    "UnimplementedEventError": "unimplemented",
    "InvalidSnapshotError": "invalid-snapshot",
    "UnsupportedManifestVersionError": "unsupported-version",
    "ManifestError": "malformed-manifest",
    "ChainRuleError": "invalid-event",
    "UnknownEngineError": "unknown-engine",
}


def comparable(value: Any) -> Any:
    """A block without what differs from node to node."""
    if isinstance(value, Mapping):
        return {key: comparable(part) for key, part in value.items() if key not in _IGNORED}
    return [comparable(part) for part in value] if isinstance(value, list) else value


def kind_of(error: KamuError) -> str:
    """The label that recordings have for such an error."""
    kind = getattr(error, "kind", None)
    if isinstance(kind, str):
        return kind
    return next((_KINDS[found.__name__] for found in type(error).__mro__ if found.__name__ in _KINDS), "?")
