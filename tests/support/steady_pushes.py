"""A client that goes on pushing numbered records, whatever happens to the node, and remembers what it was promised."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Self

import httpx

from tests.support.running_node import RunningNode
from tests.support.stories import records
from tests.support.waiting import wait_until

BATCH = 7
PAUSE_SECONDS = 0.25


class SteadyPushes:
    """Numbers go up and are never sent twice: what was not acknowledged may be there, once, or not."""

    def __init__(self, node: RunningNode, dataset: str, *, first: int = 0) -> None:
        self._node = node
        self._dataset = dataset
        self.next = first
        self.acknowledged: list[int] = []
        self.unanswered: list[int] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._stop.clear()
        self._thread = threading.Thread(target=self._push_on, name="steady-pushes")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def go_on(self, pushes: int = 2) -> None:
        """Return when so many more pushes were acknowledged."""
        wanted = len(self.acknowledged) + pushes * BATCH
        wait_until(lambda: len(self.acknowledged) >= wanted, patience=150)

    def check(self, found: Sequence[int]) -> None:
        """Everything that was acknowledged is there, and nothing is there twice or was never sent."""
        assert [number for number, times in Counter(found).items() if times > 1] == []
        assert set(self.acknowledged) - set(found) == set()
        assert set(found) - set(self.acknowledged) - set(self.unanswered) == set()

    def _push_on(self) -> None:
        with httpx.Client(timeout=60) as http:
            while not self._stop.wait(PAUSE_SECONDS):
                batch = list(range(self.next, self.next + BATCH))
                self.next += BATCH
                (self.acknowledged if self._push(http, batch) else self.unanswered).extend(batch)

    def _push(self, http: httpx.Client, batch: Sequence[int]) -> bool:
        headers = {"authorization": f"Bearer {self._node.token}", "content-type": "application/x-ndjson"}
        url = f"{self._node.api}/kamu/{self._dataset}/ingest"
        try:
            return http.post(url, content=records(batch), headers=headers).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False
