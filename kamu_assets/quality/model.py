"""The document `quality.yaml`, an attachment of a dataset: rules that its rows keep.

    version: 1
    checks:
      - {kind: NotNull, columns: [id, name]}
      - {kind: Unique, columns: [id], severity: warn}
      - {kind: Range, column: population, min: 0, max: 50000000}
      - {kind: RowCountChange, min: 1}

Rules speak of the rows that hold: what was retracted or corrected since does not count (ODF: Operation Type), so that a
mistake which is corrected in the data is one no more. They name columns and values, and hold no SQL.
"""

import math
import re
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, TypeAdapter, model_validator

from kamu_assets.odf.timestamp import InvalidTimestampError, Timestamp
from kamu_assets.odf.typedef import ByKind, ListOf, OdfEnum, OdfModel

MAX_CHECKS = 50
MAX_COLUMNS = 20
# What the checks of every dataset are called that nobody declares.
RESERVED = frozenset({"verify", "quality"})

_NAME = re.compile("[A-Za-z0-9_]{1,60}")


class Severity(OdfEnum):
    """What a broken rule means: something is wrong, or somebody should look."""

    ERROR = "Error"
    WARN = "Warn"


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("a name has 1 to 60 letters, digits and underscores")
    if name in RESERVED:
        raise ValueError(f"`{name}` is a check of the node's own")
    return name


def _checked_bound(bound: float | str) -> float | str:
    if isinstance(bound, float) and not math.isfinite(bound):
        raise ValueError("a bound is a finite number")
    if isinstance(bound, str):
        moment_of(bound)
    return bound


def moment_of(text: str) -> Timestamp | date:
    """The day or the moment that a bound names."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        return Timestamp.parse(text)
    except InvalidTimestampError as error:
        raise ValueError("a bound is a number, a date or a time such as 2024-01-31T12:00:00Z") from error


def _are_crossed(low: float | str | None, high: float | str | None) -> bool:
    match low, high:
        case str(), str():
            first, last = moment_of(low), moment_of(high)
            both_days = isinstance(first, date) and isinstance(last, date) and first > last
            return both_days or (isinstance(first, Timestamp) and isinstance(last, Timestamp) and first > last)
        case int() | float(), int() | float():
            return low > high
        # A number and a time: no column has both.
        case _:
            return False


CheckName = Annotated[str, AfterValidator(_checked_name)]
Bound = Annotated[int | float | str, AfterValidator(_checked_bound)]
Columns = Annotated[ListOf[str], Field(min_length=1, max_length=MAX_COLUMNS)]


class _Rule(OdfModel):
    name: CheckName | None = Field(None, description="what the check is called; default: from the kind and columns")
    severity: Severity = Field(Severity.ERROR, description="Error, or Warn for what somebody should only look at")


class NotNull(_Rule):
    """None of the columns is null in any row."""

    kind: Literal["NotNull"] = "NotNull"
    columns: Columns


class Unique(_Rule):
    """No two rows are equal in all of the columns. Rows with a null in one of them are equal to none, as in SQL."""

    kind: Literal["Unique"] = "Unique"
    columns: Columns


class Range(_Rule):
    """Values of a column of numbers, dates or times lie between two bounds, both included. NaN does not, null may."""

    kind: Literal["Range"] = "Range"
    column: str
    min: Bound | None = None
    max: Bound | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a range has `min`, `max` or both")
        if _are_crossed(self.min, self.max):
            raise ValueError("`min` is above `max`: nothing lies between")
        return self


class RowCountChange(_Rule):
    """Each commit changed the number of rows by so many, from `min` to `max`, both included.

    Every commit with records since the last check is judged by itself, so that a bad one cannot hide behind others that
    came before anybody looked; the first check judges those since the rules were attached, and at least the newest.
    While nothing comes, a check repeats its verdict. Rows of one system time are of one commit, after a compaction too.
    Retractions count down, so the change may be negative.
    """

    kind: Literal["RowCountChange"] = "RowCountChange"
    min: int | None = None
    max: int | None = None

    @model_validator(mode="after")
    def _has_a_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("a change has `min`, `max` or both")
        if _are_crossed(self.min, self.max):
            raise ValueError("`min` is above `max`: nothing lies between")
        return self


Rule = Annotated[NotNull | Unique | Range | RowCountChange, ByKind()]


class QualityDocument(OdfModel):
    """The content of `quality.yaml`."""

    version: Literal[1] = 1
    checks: Annotated[ListOf[Rule], Field(max_length=MAX_CHECKS)]


def document_schema() -> dict[str, Any]:
    """The JSON schema of the document."""
    return TypeAdapter(QualityDocument).json_schema(by_alias=True, ref_template="#/$defs/{model}")
