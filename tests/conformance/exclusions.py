"""Cases we do not run, each with its reason and with what will bring it back."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

LISTED = Path(__file__).with_name("exclusions.toml")


@dataclass(frozen=True)
class Exclusion:
    """`until` names the capability that removes the exclusion, or is `permanent`."""

    test: str
    pattern: str
    reason: str
    until: str

    def covers(self, test: str, subject: str) -> bool:
        return test == self.test and fnmatchcase(subject, self.pattern)


@dataclass(frozen=True)
class Exclusions:
    listed: tuple[Exclusion, ...]

    @classmethod
    def load(cls, path: Path = LISTED) -> Exclusions:
        listed = tomllib.loads(path.read_text()).get("exclusion", [])
        return cls(tuple(Exclusion(**entry) for entry in listed))

    def find(self, test: str, subject: str) -> Exclusion | None:
        return next((entry for entry in self.listed if entry.covers(test, subject)), None)
