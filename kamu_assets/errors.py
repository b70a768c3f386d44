"""The families of failure. Concrete errors live beside the code that raises them and inherit from one family.

A family says what the caller can do about it; no family knows HTTP. A bug is not a `KamuError`.
"""


class KamuError(Exception):
    """An expected failure, told in words that help the person who sees it."""


class InvalidError(KamuError):
    """What was given cannot be accepted: fix the input."""


class NotFoundError(KamuError):
    """It does not exist, or the caller may not know that it does."""


class ConflictError(KamuError):
    """Somebody else was first: look again and retry."""


class DeniedError(KamuError):
    """The caller is known, or known to be nobody, and may not do this."""


class UnavailableError(KamuError):
    """Not now: a limit, a queue or a neighbour is in the way."""
