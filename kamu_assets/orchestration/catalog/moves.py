"""Where each dataset is shown: in its place, and in those that it had before until it is seen in its place."""

from collections.abc import Collection, Mapping

from kamu_assets.odf.identity import DatasetID


class CatalogMoves:
    """Remembers who has which place, by the numbers of the locations. Nobody leaves one without being let go."""

    def __init__(self) -> None:
        self._places: dict[DatasetID, int] = {}
        # Where else they still are.
        self._left: dict[DatasetID, frozenset[int]] = {}

    def find(self, datasets: Collection[DatasetID], number: int) -> None:
        """Learn that these are there already; the places of those that are in several are to be told."""
        for dataset in datasets:
            if dataset in self._places:
                self._left[dataset] = self._left.get(dataset, frozenset()) | {self._places[dataset]}
            self._places[dataset] = number

    def place(self, places: Mapping[DatasetID, int]) -> None:
        """Give all that there are their places."""
        moved = {each for each, number in places.items() if self._places.get(each, number) != number}
        self._left = {
            each: others
            for each in moved | (self._left.keys() & places.keys())
            if (others := frozenset(self.places(each)) - {places[each]})
        }
        self._places = dict(places)

    def let_go(self, seen: Collection[int]) -> bool:
        """Those whose places are seen as they are leave the others; tells whether there was one."""
        before = len(self._left)
        self._left = {each: others for each, others in self._left.items() if self._places[each] not in seen}
        return len(self._left) < before

    def place_of(self, dataset: DatasetID) -> int | None:
        """Where it belongs; None for one that is new."""
        return self._places.get(dataset)

    def places(self, dataset: DatasetID) -> tuple[int, ...]:
        """Wherever it is."""
        return (self._places[dataset], *self._left.get(dataset, ()))

    @property
    def highest(self) -> int:
        """The last location that anybody is in, from 1."""
        return max([1, *self._places.values(), *(number for others in self._left.values() for number in others)])

    @property
    def are_open(self) -> bool:
        """Whether somebody waits to be let go."""
        return bool(self._left)
