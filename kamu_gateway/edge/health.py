"""Whether a node can do its work: its database answers, its volumes take writes."""

from kamu_assets.errors import KamuError
from kamu_assets.node import Node

_PROBE_BYTES = 1 << 16


def find_fault(node: Node) -> str | None:
    """What is wrong, or None."""
    try:
        node.database.require_current()
        for volume in node.volumes.distinct():
            # Large enough to reach the disk, seen by nobody, gone again.
            with volume.writer("") as probe:
                probe.write(bytes(_PROBE_BYTES))
    except (KamuError, OSError) as error:
        return f"{error}"
    return None
