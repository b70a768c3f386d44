"""Secrets in whatever is logged: found by where they stand, or because they are known."""

import re
from collections.abc import Iterable, Mapping

HIDDEN = "•••"

_FIELD = re.compile(r"token|passw|secret|authorization|private_?key|api_?key", re.IGNORECASE)
_PLACES = (
    # Access tokens of nodes, of this one and others.
    (re.compile(r"\bka_[0-9A-Za-z]{8,}"), f"ka_{HIDDEN}"),
    (re.compile(r"\b((?i:bearer)|Basic) [\w.~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    # The password of a URL, which may hold all that it should not.
    (re.compile(r"(://[^\s:/@]*:)\S+(?=@)"), rf"\1{HIDDEN}"),
    (
        re.compile(r"([?&;][\w.-]*(?:token|passw|secret|key|signature|credential)[\w.-]*=)[^\s&;#\"']+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
)
# Shorter ones are words, or numbers, of which texts are full.
_KNOWN_LENGTH = 6


class SecretHider:
    """Writes `•••` where a secret stands."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = sorted({each for each in known if len(each) >= _KNOWN_LENGTH}, key=len, reverse=True)

    def hide(self, text: str) -> str:
        """The text without secrets."""
        for each in self._known:
            text = text.replace(each, HIDDEN)
        for pattern, instead in _PLACES:
            text = pattern.sub(instead, text)
        return text

    def hide_field(self, name: str, value: object) -> object:
        """A field of an event without secrets, however deep they are in it."""
        match value:
            case None | bool() | int() | float():
                return value
            case _ if _FIELD.search(name):
                return HIDDEN
            case str():
                return self.hide(value)
            case Mapping():
                return {key: self.hide_field(str(key), each) for key, each in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.hide_field(name, each) for each in value]
            case _:
                # What it looks like is decided now: by the renderer nobody would look.
                return self.hide(repr(value) if isinstance(value, bytes) else str(value))
