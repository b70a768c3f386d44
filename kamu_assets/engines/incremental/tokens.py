"""SQL text as tokens, enough to find the constructs that DataFusion's parser does not know."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""
      (?P<skip>\s+ | --[^\n]* | /\*.*?\*/)
    | (?P<string>'(?:[^']|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<quoted>"(?:[^"]|"")*" | `[^`]*`)
    | (?P<number>\d[\w.]*)
    | (?P<word>[^\W\d]\w*)
    | (?P<other>=>|.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text and where it stands."""

    kind: str
    text: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these keywords or names, in any case."""
        return self.kind == "word" and self.text.upper() in words

    @property
    def name(self) -> str | None:
        """What it is called, if it is an identifier."""
        if self.kind == "quoted":
            mark = self.text[0]
            return self.text[1:-1].replace(mark * 2, mark)
        return self.text if self.kind == "word" else None


def tokens_of(sql: str) -> tuple[Token, ...]:
    """All tokens but blanks and comments."""
    found = []
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup if match.lastgroup != "tag" else "string"
        if kind is not None and kind != "skip":
            found.append(Token(kind, match.group(), match.start(), match.end()))
    return tuple(found)


class Cursor:
    """Walks over tokens; `take…` steps on only where it finds what it looks for."""

    def __init__(self, tokens: Sequence[Token], at: int) -> None:
        self._tokens = tokens
        self.at = at

    @property
    def here(self) -> Token | None:
        return self._tokens[self.at] if self.at < len(self._tokens) else None

    @property
    def last(self) -> Token:
        """The token before this one."""
        return self.token(self.at - 1)

    def token(self, at: int) -> Token:
        """Any token, by its number."""
        return self._tokens[at]

    def take(self, *texts: str) -> bool:
        """Step over these tokens, all or none."""
        wanted = self._tokens[self.at : self.at + len(texts)]
        found = len(wanted) == len(texts) and all(
            token.kind in ("word", "other") and token.text.upper() == text
            for token, text in zip(wanted, texts, strict=True)
        )
        self.at += len(texts) if found else 0
        return found

    def take_path(self) -> tuple[str, ...] | None:
        """Step over `a`, `a.b` or `a.b.c`."""
        path: list[str] = []
        while self.here is not None and self.here.name is not None:
            path.append(self.here.name)
            self.at += 1
            if not self.take("."):
                return tuple(path)
        return None

    def take_kind(self, *kinds: str) -> Token | None:
        """Step over one token of these kinds."""
        token = self.here
        if token is None or token.kind not in kinds:
            return None
        self.at += 1
        return token
