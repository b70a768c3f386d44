"""A command that does not say what to do."""

from kamu_assets.errors import InvalidError


class MisuseError(InvalidError):
    """Arguments are missing or exclude each other: exit code 2, as for options that nobody knows."""
