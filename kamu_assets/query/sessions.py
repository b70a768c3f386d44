"""Sessions of a worker, for one query after another: what was read of footers serves the next one, too."""

from typing import Final

import datafusion

from kamu_assets.engines.session import session

KAMU: Final = "kamu"
# Where the node keeps its files is nobody's business.
_TELLING_FUNCTIONS: Final = ("input_file_name",)


def new_session(memory_bytes: int, partitions: int | None = None) -> datafusion.SessionContext:
    """One that no other query has run in."""
    context = session(KAMU, memory_bytes=memory_bytes, partitions=partitions, own_catalog=True)
    for name in _TELLING_FUNCTIONS:
        context.deregister_udf(name)
    return context


class Sessions:
    """Put back only what a query used that ended well: what fails may go on running in it for a while."""

    def __init__(self) -> None:
        self._free: dict[tuple[int, int | None], datafusion.SessionContext] = {}

    def take(self, memory_bytes: int, partitions: int | None = None) -> datafusion.SessionContext:
        free = self._free.pop((memory_bytes, partitions), None)
        return free if free is not None else new_session(memory_bytes, partitions)

    def put_back(self, context: datafusion.SessionContext, memory_bytes: int, partitions: int | None = None) -> None:
        self._free[memory_bytes, partitions] = context
