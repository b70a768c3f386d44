"""What assets need of the node, so that the same definitions serve where it is and where it is not."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from dagster import InitResourceContext, ResourceDefinition, resource

from kamu_assets.errors import UnavailableError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.orchestration.reports.materialization import Materialization, Shown

UPDATER = "updater"
VERIFIER = "verifier"
CHECKER = "checker"


class Updater(Protocol):
    """Brings datasets up to date."""

    def update(self, dataset: DatasetID, *, run_id: str, log: logging.Logger) -> Materialization | None:
        """Poll or compute; None when nothing came of it, with the reason in the log."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a dataset is what it says it is, as Dagster shows it."""

    passed: bool
    description: str
    metadata: Mapping[str, Shown]


class Verifier(Protocol):
    """Verifies datasets."""

    def verify(self, dataset: DatasetID, *, run_id: str, log: logging.Logger) -> Verdict:
        """Read and judge all of it."""
        ...


@dataclass(frozen=True, slots=True)
class CheckVerdict(Verdict):
    """What came of a declared check."""

    # Whether something is wrong when it fails, rather than worth a look.
    is_error: bool


class Checker(Protocol):
    """Checks what datasets declare."""

    def check(self, dataset: DatasetID, *, log: logging.Logger) -> Mapping[str, CheckVerdict]:
        """By the names of the checks. Whatever goes wrong is told in verdicts: data that is there stays there."""
        ...


class NoNodeError(UnavailableError):
    """A code server lists the assets; only the node's workers can execute them."""

    def __init__(self) -> None:
        super().__init__("only the node's workers update and verify datasets: this process lists them")


@resource
def no_updater(_context: InitResourceContext) -> Updater:
    """Stands in for the node where assets are only listed."""
    raise NoNodeError


@resource
def no_verifier(_context: InitResourceContext) -> Verifier:
    """The same for their checks."""
    raise NoNodeError


@resource
def no_checker(_context: InitResourceContext) -> Checker:
    """The same for those that they declare."""
    raise NoNodeError


def updater_resource(updater: Updater) -> ResourceDefinition:
    """The node's own."""
    return ResourceDefinition.hardcoded_resource(updater)
