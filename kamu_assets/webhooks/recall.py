"""Calling back what is being sent: whoever waits for a receiver waits no longer."""

import threading
from collections.abc import Callable
from typing import TypeVar

from kamu_assets.webhooks.errors import RecalledError

_T = TypeVar("_T")


class Recall:
    """Of one attempt; asked for on any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asked = False

    def ask(self) -> None:
        """Wait no longer."""
        with self._changed:
            self._asked = True
            self._changed.notify_all()

    def is_asked(self) -> bool:
        return self._asked

    def wait_for(self, work: Callable[[], _T]) -> _T:
        """What the work comes to; RecalledError as soon as somebody asks, and the work's thread is left behind."""
        results: list[_T] = []
        errors: list[BaseException] = []

        def do() -> None:
            try:
                results.append(work())
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for, whatever it is
                errors.append(error)
            finally:
                with self._changed:
                    self._changed.notify_all()

        threading.Thread(target=do, name="webhook-sender", daemon=True).start()
        with self._changed:
            self._changed.wait_for(lambda: self._asked or results or errors)
        if errors:
            raise errors[0]
        if results:
            return results[0]
        raise RecalledError
