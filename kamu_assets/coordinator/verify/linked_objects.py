"""Checks the objects that rows link: they lie among the slices, and only rows name them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kamu_assets.coordinator.verify.model import RESTORE, Fault, Place, VerdictKind
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import InvalidError
from kamu_assets.odf.links import MULTIHASH
from kamu_assets.odf.multihash import Multihash
from kamu_assets.storage.layout import data_key
from kamu_assets.storage.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class LinkedObjects:
    """The linked objects of one dataset, each looked at once."""

    entry: DatasetEntry
    volume: ObjectStore
    # The hash of a stored object by its key, told the name that it should have.
    hashed: Callable[[str, Multihash], Multihash]
    seen: set[Multihash] = field(default_factory=set)

    def faults(self, links: Mapping[str, Sequence[str]], place: Place) -> Iterator[Fault]:
        """What is wrong with the objects that a slice names, by the columns that name them."""
        for column, names in links.items():
            for text in names:
                yield from self._fault(column, text, place)

    def _fault(self, column: str, text: str, place: Place) -> Iterator[Fault]:
        try:
            name = Multihash.parse(text)
        except InvalidError:
            message = f"column `{column}` links {text[:80]!r}, which is no hash of an object"
            yield Fault(VerdictKind.INVALID_LINK, place, message, found=text[:80])
            return
        if name in self.seen:
            return
        self.seen.add(name)
        key, where = data_key(self.entry.id, name), Place(place.sequence_number, place.block, f"data/{name}")
        if not self.volume.exists(key):
            message = f"is not there, column `{column}` of {place.file} links it: {RESTORE}"
            yield Fault(VerdictKind.OBJECT_NOT_FOUND, where, message)
        elif (actual := self.hashed(key, name)) != name:
            message = f"hashes to {actual}, column `{column}` of {place.file} links it: {RESTORE}"
            yield Fault(VerdictKind.DATA_PHYSICAL_HASH_MISMATCH, where, message, str(name), str(actual))


def unknown_links(kinds: Mapping[str, str]) -> str | None:
    """Why the objects that some columns link cannot be verified."""
    found = next(((name, kind) for name, kind in kinds.items() if kind != MULTIHASH), None)
    if found is None:
        return None
    return f"column `{found[0]}` links objects by {found[1]}, not by {MULTIHASH}: they cannot be verified"
