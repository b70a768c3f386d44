"""What queries asked when they ran before: answered in advance, it need not be asked for.

A worker waits for every answer; most queries come again and again, and name the same datasets each time.
"""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Final

from kamu_assets.query.questions import FindTable

_REMEMBERED: Final = 256
_LONGEST: Final = 4096


class AskedBefore:
    """Questions by SQL text, of the last queries; safe for many threads. Answers are always those of now."""

    def __init__(self) -> None:
        self._questions: OrderedDict[str, Sequence[FindTable]] = OrderedDict()
        self._lock = Lock()

    def by(self, sql: str) -> Sequence[FindTable]:
        with self._lock:
            return self._questions.get(sql, ())

    def remember(self, sql: str, questions: Sequence[FindTable]) -> None:
        if len(sql) > _LONGEST:
            return
        with self._lock:
            self._questions[sql] = questions
            self._questions.move_to_end(sql)
            if len(self._questions) > _REMEMBERED:
                self._questions.popitem(last=False)
