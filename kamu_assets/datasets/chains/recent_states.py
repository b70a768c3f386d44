"""Chain states kept in memory: told apart by their heads, they never get old."""

from collections import OrderedDict
from threading import Lock

from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash


class RecentStates:
    """States of the chains that were asked for lately; safe for many threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._states: OrderedDict[tuple[DatasetID, Multihash | None], ChainState] = OrderedDict()
        self._lock = Lock()

    def get(self, dataset: DatasetID, head: Multihash) -> ChainState | None:
        with self._lock:
            state = self._states.get((dataset, head))
            if state is not None:
                self._states.move_to_end((dataset, head))
            return state

    def put(self, dataset: DatasetID, state: ChainState) -> None:
        with self._lock:
            self._states[dataset, state.head] = state
            while len(self._states) > self._limit:
                self._states.popitem(last=False)
