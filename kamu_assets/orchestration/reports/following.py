"""How the publisher and the reporter follow the outbox: in batches, at least once, parked when they fail."""

from collections.abc import Callable, Sequence

import structlog

from kamu_assets.database.database import Database
from kamu_assets.database.errors import DatabaseUnavailableError
from kamu_assets.database.messages import Message
from kamu_assets.database.outbox import Outbox

log = structlog.get_logger(__name__)

MESSAGES_AT_ONCE = 2000


def follow(consumer: str, handle: Callable[[Sequence[Message]], None], *, outbox: Outbox, database: Database) -> bool:
    """Handle what the consumer has not seen; False when there was nothing, or it failed, or others are at it."""
    with outbox.turn(consumer) as is_ours:
        return is_ours and _follow(consumer, handle, outbox, database)


def _follow(consumer: str, handle: Callable[[Sequence[Message]], None], outbox: Outbox, database: Database) -> bool:
    try:
        deliveries = outbox.read(consumer, MESSAGES_AT_ONCE)
        if not deliveries:
            return False
        handle([delivery.message for delivery in deliveries])
    except DatabaseUnavailableError:
        # No message is to blame.
        raise
    except Exception as error:
        log.exception("consumer_failed", consumer=consumer)
        with database.transaction() as tx:
            outbox.fail(tx, consumer, f"{type(error).__name__}: {error}")
        return False
    with database.transaction() as tx:
        outbox.advance(tx, consumer, deliveries[-1].id)
    return True
