"""What somebody wants to be told, checked: pure."""

from collections.abc import Sequence

from kamu_assets.webhooks.errors import InvalidLabelError, NoEventTypesError, UnknownEventTypeError
from kamu_assets.webhooks.model import OFFERED, EventType

MAX_LABEL = 100


def checked_events(given: Sequence[str]) -> tuple[EventType, ...]:
    """Each once; NoEventTypesError, UnknownEventTypeError."""
    if not given:
        raise NoEventTypesError
    offered = {each.value: each for each in OFFERED}
    for name in given:
        if name not in offered:
            raise UnknownEventTypeError(name, offered)
    return tuple(dict.fromkeys(offered[name] for name in given))


def check_label(label: str) -> None:
    """InvalidLabelError."""
    if len(label) > MAX_LABEL:
        raise InvalidLabelError(f"a label has at most {MAX_LABEL} characters, not {len(label)}")
    if not label.isprintable():
        raise InvalidLabelError("a label is one line of printable characters")
