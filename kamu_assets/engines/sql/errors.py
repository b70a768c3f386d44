"""How SQL fails. Loads no engine: those who only ask get these errors, too."""

from kamu_assets.errors import InvalidError


class InvalidQueryError(InvalidError):
    """The query cannot be planned: wrong syntax, unknown name, wrong types."""


class StatementNotAllowedError(InvalidError):
    """The text is SQL, but no query."""

    def __init__(self, what: str) -> None:
        super().__init__(f"statement not allowed: {what}; only queries are")


class QueryFailedError(InvalidError):
    """The query was planned but failed on the data."""
