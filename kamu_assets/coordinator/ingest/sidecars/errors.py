"""What can be wrong with what is known of history."""

from kamu_assets.errors import KamuError, UnavailableError


class SidecarUnusableError(KamuError):
    """A sidecar is damaged, gone or of another kind: it is made anew from the slices, and callers never see this."""


class UnreadableSliceError(UnavailableError):
    """New data must be compared with a slice that cannot be read."""

    def __init__(self, location: str, reason: str) -> None:
        self.name = location.rpartition("/")[2]
        super().__init__(f"data slice {self.name} cannot be read ({reason}); run `kamu-node doctor`")
