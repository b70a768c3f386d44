"""What is measured: a job, and the proof that it did its work. Only the standard library: peers import this, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class Environment(StrEnum):
    """Where a job's libraries are."""

    NODE = "node"
    PEERS = "peers"


@dataclass(frozen=True, slots=True)
class Subject:
    """One side of a comparison. All functions live at the top of a module: they travel to a child process.

    `run` gets an empty folder of its own, or what `prepare` made of it. `prepare` is for what does not count: imports,
    opened nodes, warm workers, tables to merge into; it is left after the check. A module with functions of a peer
    imports nothing of ours, and its libraries no earlier than in them.
    """

    name: str
    run: Callable[[Any], object]
    check: Callable[[Any], None]
    prepare: Callable[[Path], AbstractContextManager[Any]] | None = None
    environment: Environment = Environment.NODE
    # Distributions it cannot do without; a subject that lacks one is reported as missing.
    needs: tuple[str, ...] = ()
    # Modules to load before the clock starts.
    imports: tuple[str, ...] = ()
    # What its process finds in its environment beside what all find.
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run took, child processes included."""

    wall_s: float
    cpu_s: float
    rss_mb: float


class WrongResultError(Exception):
    """A job did not do what it was timed for."""


def expect(what: str, *, found: object, wanted: object) -> None:
    """The checks' own assertion."""
    if found != wanted:
        raise WrongResultError(f"{what}: {found!r} instead of {wanted!r}")
