"""How reading data slices fails. Light: whoever asks a worker knows these without the engine."""

from kamu_assets.errors import UnavailableError


class SliceError(UnavailableError):
    """A slice, told by its name only, cannot be read. Who knows whose it is says more."""

    def __init__(self, location: str, problem: str) -> None:
        self.name = location.rpartition("/")[2]
        super().__init__(f"data slice {self.name} {problem}; `kamu-node verify %` finds whose it is")


class LostSliceError(SliceError):
    """A data slice is not where it should be."""

    def __init__(self, location: str) -> None:
        super().__init__(location, "is missing in the store")
