"""Names of datasets, accounts and repositories: letters, digits, single `-` and `.` between them.

Names are the same when they differ only in case; the spelling somebody chose is kept for display.
"""

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import ClassVar, Self

from kamu_assets.errors import InvalidError
from kamu_assets.odf.typedef import TextValue

NAME_RULE = "names are letters A-Z, a-z and digits, with single `-` and `.` between them"
_SUBDOMAIN = r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*"
_HOSTNAME = rf"{_SUBDOMAIN}(?:\.{_SUBDOMAIN})*"
_NAME = re.compile(_HOSTNAME, re.ASCII)
# Pieces of a pattern between its `%`: before the first, in the middle, after the last.
_FIRST_PIECE = re.compile(rf"(?:{_HOSTNAME}[.-]?)?", re.ASCII)
_MIDDLE_PIECE = re.compile(rf"(?:[.-]?{_HOSTNAME}[.-]?|[.-])?", re.ASCII)
_LAST_PIECE = re.compile(rf"(?:[.-]?{_HOSTNAME})?", re.ASCII)


class InvalidNameError(InvalidError):
    """The text cannot be a name."""

    def __init__(self, what: str, text: str, *, rule: str | None = None) -> None:
        super().__init__(f"{text[:100]!r} is not a valid {what}" + (f": {rule}" if rule else ""))
        self.text = text


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Name(TextValue):
    """A name as somebody spelled it; compares without case."""

    text: str

    what: ClassVar[str] = "name"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.text):
            raise InvalidNameError(self.what, self.text, rule=NAME_RULE)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check and wrap the text."""
        return cls(text)

    @property
    def folded(self) -> str:
        """The spelling that identifies: lower case."""
        return self.text.lower()

    def __eq__(self, other: object) -> bool:
        return self.folded == other.folded if isinstance(other, type(self)) else NotImplemented

    def __lt__(self, other: Self) -> bool:
        return self.folded < other.folded if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.folded)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, eq=False)
class DatasetName(Name):
    """The name of a dataset within its account."""

    what: ClassVar[str] = "dataset name"


@dataclass(frozen=True, slots=True, eq=False)
class AccountName(Name):
    """The name of an account."""

    what: ClassVar[str] = "account name"


@dataclass(frozen=True, slots=True, eq=False)
class RepoName(Name):
    """The name of a remote repository."""

    what: ClassVar[str] = "repository name"


@dataclass(frozen=True, slots=True)
class NamePattern(TextValue):
    """A dataset name in which each `%` stands for anything."""

    text: str

    def __post_init__(self) -> None:
        if not _is_pattern(self.text):
            raise InvalidNameError("dataset name pattern", self.text, rule=f"{NAME_RULE}; `%` stands for anything")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check and wrap the text; a plain name is a pattern too."""
        return cls(text)

    def matches(self, name: Name) -> bool:
        """Whether the pattern covers the name, in any case."""
        pieces = re.split("%+", self.text.lower())
        return re.fullmatch(".*".join(map(re.escape, pieces)), name.folded, re.DOTALL) is not None

    def __str__(self) -> str:
        return self.text


def _is_pattern(text: str) -> bool:
    pieces = re.split("%+", text)
    if len(pieces) == 1:
        return _NAME.fullmatch(text) is not None
    inner = pieces[1:-1]
    return (
        _FIRST_PIECE.fullmatch(pieces[0]) is not None
        and _LAST_PIECE.fullmatch(pieces[-1]) is not None
        and all(_MIDDLE_PIECE.fullmatch(piece) for piece in inner)
    )
