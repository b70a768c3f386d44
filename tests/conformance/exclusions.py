"""Cases we do not run, each with its reason and with what will bring it back."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
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
class LeftOutStep:
    """Why a step of a scenario does not run: what it needs, and the entry that says so."""

    need: str
    exclusion: Exclusion


@dataclass(frozen=True)
class Exclusions:
    listed: tuple[Exclusion, ...]

    @classmethod
    def load(cls, path: Path = LISTED) -> Exclusions:
        listed = tomllib.loads(path.read_text()).get("exclusion", [])
        return cls(tuple(Exclusion(**entry) for entry in listed))

    def find(self, test: str, subject: str) -> Exclusion | None:
        return next((entry for entry in self.listed if entry.covers(test, subject)), None)

    def find_step(self, scenario: str, step: str, needs: Iterable[str]) -> LeftOutStep | None:
        """The first need of a step that is listed, as `<scenario>/<step>/<need>`."""
        for need in needs:
            found = self.find("replay", f"{scenario}/{step}/{need}")
            if found:
                return LeftOutStep(need, found)
        return None
