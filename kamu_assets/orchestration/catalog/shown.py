"""Sees to it that Dagster's UI shows what the code servers serve.

Its webserver loads all locations, and only then begins to watch their servers: a server that takes a new state in
between the two is taken for the one that was loaded, and the UI shows the old state until the next change.
"""

import json
import time
from collections.abc import Callable, Collection, Mapping

import structlog

from kamu_assets.orchestration.catalog.webserver import NOT_ANSWERED, ask
from kamu_assets.orchestration.config import AdapterConfig

log = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 10.0
# The webserver looks by itself every second.
GRACE_SECONDS = 3.0
LONGEST_PATIENCE = 60.0
# What was seen once may be another webserver's later.
SEEN_SECONDS = 60.0
# One that starts, or starts anew, has loaded what it shows long before it listens.
ABSENT_SECONDS = 60.0
_SHOWN = "{locationStatusesOrError {... on WorkspaceLocationStatusEntries {entries {name versionKey}}}}"
_REFRESH = "mutation ($name: String!) {reloadRepositoryLocation(repositoryLocationName: $name) {__typename}}"


class ShownCatalog:
    """Compares by the ids of the servers: each has another one after each start and each reload."""

    def __init__(self, config: AdapterConfig, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._monotonic = monotonic
        # What the UI was seen to show, and when.
        self._shown: Mapping[str, str | None] = {}
        self._seen = float("-inf")
        self._grace = GRACE_SECONDS
        # Since when it is known not to show what it should.
        self._late: dict[tuple[str, str], float] = {}
        # Since when nothing listens where the webserver should.
        self._absent: float | None = None

    def compare(self, served: Mapping[str, str], *, patience: float = 0) -> frozenset[str]:
        """Let the UI load the locations again whose server, by its name here, has long had another id than there.

        That has the server load everything once more, too: `patience` says how many more seconds the UI may just be
        slow. Tells which are shown as they are served: all, where there has long been no webserver.
        """
        self._grace = GRACE_SECONDS + min(patience, LONGEST_PATIENCE)
        if self._missing(served) or self._monotonic() - self._seen >= SEEN_SECONDS:
            self._look()
            self._refresh(self._missing(served))
        if self._absent is not None and self._monotonic() - self._absent >= ABSENT_SECONDS:
            return frozenset(served)
        return frozenset(served) - {location for location, _ in self._missing(served)}

    def names(self) -> frozenset[str]:
        """The locations that the UI knows of; none when it does not answer."""
        self._look()
        return frozenset(self._shown)

    def _look(self) -> None:
        try:
            self._shown, self._seen, self._absent = self._ask_what_is_shown(), self._monotonic(), None
        except NOT_ANSWERED as error:
            log.debug("webserver_not_asked", reason=str(error))
            self._shown, self._seen = {}, float("-inf")
            if not isinstance(error, ConnectionRefusedError):
                # It is there, and busy.
                self._absent = None
            elif self._absent is None:
                self._absent = self._monotonic()

    def _refresh(self, missing: Collection[tuple[str, str]]) -> None:
        if not self._shown:
            # Without a webserver nobody sees anything; a new one loads what is served then.
            return
        now = self._monotonic()
        self._late = {each: self._late.get(each, now) for each in missing}
        for location, _ in [each for each, since in self._late.items() if now - since > self._grace]:
            log.info("catalog_shown_late", location=location)
            try:
                ask(self._config, _REFRESH, timeout_seconds=TIMEOUT_SECONDS, name=location)
            except NOT_ANSWERED as error:
                log.debug("webserver_not_asked", reason=str(error))
                return

    def _missing(self, served: Mapping[str, str]) -> set[tuple[str, str]]:
        return {(location, server) for location, server in served.items() if self._shown.get(location) != server}

    def _ask_what_is_shown(self) -> Mapping[str, str | None]:
        shown = ask(self._config, _SHOWN, timeout_seconds=TIMEOUT_SECONDS)
        entries = shown["locationStatusesOrError"]["entries"]
        return {entry["name"]: _server_of(entry["versionKey"]) for entry in entries}


def _server_of(version: str) -> str | None:
    """The id in a location's version, which is a time where the location could not be loaded."""
    parts = json.loads(version)
    return str(parts[0]) if isinstance(parts, list) else None
