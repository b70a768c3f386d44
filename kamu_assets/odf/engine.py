"""What an engine computes: transforms and their inputs (ODF: engine schemas)."""

from typing import Annotated, Literal

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from kamu_assets.errors import InvalidError
from kamu_assets.odf.identity import parse_dataset_ref
from kamu_assets.odf.typedef import ByKind, ListOf, OdfModel


class InvalidTransformError(InvalidError):
    """The queries of a transform do not lead to one output."""


def _checked_ref(text: str) -> str:
    try:
        parse_dataset_ref(text)
    except InvalidError as error:
        raise PydanticCustomError("invalid_text", "{reason}", {"reason": str(error)}) from error
    return text


class SqlQueryStep(OdfModel):
    """One query; those with an alias are views for the ones after them."""

    alias: str | None = None
    query: str


class TemporalTable(OdfModel):
    """A stream seen as a table that changes over time (Flink)."""

    name: str
    primary_key: ListOf[str]


class TransformSql(OdfModel):
    """SQL in the dialect of the named engine: one `query`, or steps of `queries`."""

    kind: Literal["Sql"] = "Sql"
    engine: str
    version: str | None = None
    query: str | None = None
    queries: ListOf[SqlQueryStep] | None = None
    temporal_tables: ListOf[TemporalTable] | None = None


# A union of one: room for other ways to transform.
Transform = Annotated[TransformSql, ByKind()]


class TransformInput(OdfModel):
    """A dataset that a transform reads, and its name inside the queries."""

    # Kept as written: `did:odf:…` or an alias, whose spelling is part of the block.
    dataset_ref: Annotated[str, AfterValidator(_checked_ref)]
    alias: str | None = None


def is_normalized(transform: TransformSql) -> bool:
    """Whether only `queries` is used, and only its last step has no alias."""
    if transform.query is not None or not transform.queries:
        return False
    *views, output = transform.queries
    return output.alias is None and all(view.alias is not None for view in views)


def normalize_transform(transform: TransformSql) -> TransformSql:
    """Bring a transform to the form that chains hold: `queries` whose last, nameless step is the output."""
    if transform.query is not None and transform.queries is not None:
        raise InvalidTransformError("cannot specify both `query` and `queries` in a transform")
    queries = transform.queries or ()
    if transform.query is not None:
        queries = (SqlQueryStep(query=transform.query),)
    if not queries:
        raise InvalidTransformError("a transform must have at least one query")
    if sum(step.alias is None for step in queries) > 1:
        raise InvalidTransformError("several queries have no alias, only the output may have none")
    if queries[-1].alias is not None:
        raise InvalidTransformError("the last query is the output and must have no alias")
    return transform.model_copy(update={"query": None, "queries": queries})
