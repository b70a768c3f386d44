"""What can be wrong with a sidecar; callers never see it."""

from kamu_assets.errors import KamuError


class SidecarUnusableError(KamuError):
    """A sidecar is damaged, gone or of another kind: it must be made anew from the slices."""
