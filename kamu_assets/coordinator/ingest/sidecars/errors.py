"""What can be wrong with what is known of history."""

from kamu_assets.engines.slices.errors import SliceError
from kamu_assets.errors import KamuError


class SidecarUnusableError(KamuError):
    """A sidecar is damaged, gone or of another kind: it is made anew from the slices, and callers never see this."""


class UnreadableSliceError(SliceError):
    """New data must be compared with a slice that cannot be read."""

    def __init__(self, location: str, reason: str) -> None:
        super().__init__(location, f"cannot be read ({reason})")
