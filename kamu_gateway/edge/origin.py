"""Where queries come from."""

import structlog

from kamu_assets.query.history.model import Door, Origin


def origin_at(door: Door) -> Origin:
    """The request that is answered here, by the id that the log knows it by."""
    return Origin(door, structlog.contextvars.get_contextvars().get("request"))
