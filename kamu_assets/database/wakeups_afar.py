"""Taps on the shoulder between the machines of a node, through the PostgreSQL that they share.

On each machine one process carries them: it is tapped like everybody else there, tells the other machines, and taps for
them. They are lost like other taps, while nobody carries them, say; so listeners still look by themselves.
"""

import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

import structlog

from kamu_assets.database.database import Database
from kamu_assets.database.leadership_files import FileLeadership
from kamu_assets.database.notices import Notices
from kamu_assets.database.wakeups import Listener, Wakeups, readable

log = structlog.get_logger(__name__)

CHANNEL = "kamu_wakeups"
# By which a carrier is asked to end.
_OWN = "wakeups_afar"
STANDBY_SECONDS = 2.0
FAILED_SECONDS = 2.0
# However often there are news, others are told of them together so often; the first ones at once.
REST_SECONDS = 0.02


class Carrier:
    """For every process that lives long; one for each machine, or folder of wake-ups, does the work."""

    def __init__(self, *, database: Database, wakeups: Wakeups, topics: Sequence[str]) -> None:
        self._database = database
        self._wakeups = wakeups
        self._topics = topics
        self._name = secrets.token_hex(8)
        self._stop = threading.Event()
        self._is_failing = False

    @contextmanager
    def running(self) -> Iterator[None]:
        """Carry taps until the end of the block; a database of one machine has nobody to tell."""
        if not self._database.is_shared:
            yield
            return
        thread = threading.Thread(target=self._run, name="wakeups-afar")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._wakeups.notify(_OWN)
            thread.join()

    def _run(self) -> None:
        with self._wakeups.listen(_OWN) as own, FileLeadership(self._wakeups.folder / "wakeups", "carrier") as alone:
            while not self._stop.is_set():
                if not alone.take():
                    own.wait(STANDBY_SECONDS)
                    continue
                try:
                    self._carry(own)
                except Exception as error:  # noqa: BLE001 - whatever the driver says, it is tried again
                    if not self._is_failing:
                        log.warning("wakeups_stay_on_this_machine", reason=str(error).partition("\n")[0])
                    self._is_failing = True
                    own.wait(FAILED_SECONDS)

    def _carry(self, own: Listener) -> None:
        with ExitStack() as opened:
            listeners = {topic: opened.enter_context(self._wakeups.listen(topic)) for topic in self._topics}
            notices = opened.enter_context(self._database.notices(CHANNEL))
            self._is_failing = False
            # What was said before is lost.
            for topic, listener in listeners.items():
                self._wakeups.notify(topic, besides=listener)
            while not self._stop.is_set():
                ready = readable([own, notices, *listeners.values()])
                # Others of this machine are asked to end, too.
                own.drain()
                self._hear(notices, listeners)
                self._tell(notices, [topic for topic, listener in listeners.items() if listener in ready], listeners)
                self._stop.wait(REST_SECONDS)

    def _hear(self, notices: Notices, listeners: Mapping[str, Listener]) -> None:
        said = {tuple(each.split(" ")) for each in notices.heard()}
        for topic in {topic for name, topic in said if name != self._name and topic in listeners}:
            self._wakeups.notify(topic, besides=listeners[topic])

    def _tell(self, notices: Notices, topics: Sequence[str], listeners: Mapping[str, Listener]) -> None:
        for topic in topics:
            listeners[topic].drain()
            notices.say(f"{self._name} {topic}")
