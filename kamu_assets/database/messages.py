"""What areas tell each other: full facts, in past tense."""

from collections.abc import Iterable
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError


class Message(BaseModel):
    """The base of every message; each area defines its own in `messages.py` and gives it a topic.

    A topic is forever: fields may be added with a default, never removed or given another meaning.
    """

    # Ignoring what newer code added lets old and new processes run side by side.
    model_config = ConfigDict(frozen=True, extra="ignore")

    topic: ClassVar[str]


class UnknownMessage(Message):
    """A message this process has no type for; consumers pass over it."""

    topic: ClassVar[str] = ""

    original_topic: str
    body: str


class UnreadableMessageError(Exception):
    """A stored message does not fit its type: somebody changed the type's meaning."""

    def __init__(self, topic: str, reason: str) -> None:
        super().__init__(f"stored message {topic} cannot be read: {reason}")
        self.topic = topic


class MessageTypes:
    """The types this process can read, by topic."""

    def __init__(self, types: Iterable[type[Message]] = ()) -> None:
        self._types: dict[str, type[Message]] = {}
        for kind in types:
            if self._types.setdefault(kind.topic, kind) is not kind:
                raise ValueError(f"two messages have the topic {kind.topic}")

    def decode(self, topic: str, body: str) -> Message:
        """Read a stored message."""
        kind = self._types.get(topic)
        if kind is None:
            return UnknownMessage(original_topic=topic, body=body)
        try:
            return kind.model_validate_json(body)
        except ValidationError as error:
            raise UnreadableMessageError(topic, str(error)) from error
