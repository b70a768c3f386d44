"""What `/query` may be asked, in JSON or in a query string; spellings of enumerations are taken leniently."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from kamu_assets.errors import InvalidError
from kamu_assets.query.model import DataFormat, UnknownFormatError

E = TypeVar("E", bound=StrEnum)


class NotOfferedError(InvalidError):
    """Kamu knows it, this node does not yet."""


class Dialect(StrEnum):
    """Checked for its spelling only: DataFusion runs them all."""

    SQL_DATA_FUSION = "SqlDataFusion"
    SQL_FLINK = "SqlFlink"
    SQL_RISING_WAVE = "SqlRisingWave"
    SQL_SPARK = "SqlSpark"


class Include(StrEnum):
    """Parts of an answer beside the output."""

    INPUT = "Input"
    PROOF = "Proof"
    SCHEMA = "Schema"


class SchemaFormat(StrEnum):
    """How a schema is written."""

    ARROW_JSON = "ArrowJson"
    ODF_JSON = "OdfJson"
    ODF_YAML = "OdfYaml"
    PARQUET = "Parquet"
    PARQUET_JSON = "ParquetJson"


def leniently(choices: type[E], text: object) -> E:
    """The member that `text` spells, with or without hyphens, in any case."""
    folded = str(text).replace("-", "").lower()
    for member in choices:
        if member.value.lower() == folded:
            return member
    known = ", ".join(f"`{member.value}`" for member in choices)
    raise ValueError(f"unknown variant `{text}`, expected one of {known}")


def data_format(text: object) -> DataFormat:
    """The same for formats of data, which have a list of spellings."""
    try:
        return DataFormat.parse(str(text))
    except UnknownFormatError as error:
        raise ValueError(str(error)) from error


def lenient(choices: type[E]) -> BeforeValidator:
    """The validator of a field of this enumeration; absent stays absent."""
    return BeforeValidator(lambda text: None if text is None else leniently(choices, text))


LenientFormat = Annotated[DataFormat, BeforeValidator(data_format)]
LenientSchemaFormat = Annotated[SchemaFormat | None, lenient(SchemaFormat)]
Count = Annotated[int, Field(ge=0, lt=1 << 64)]


class PinnedDataset(BaseModel):
    """A dataset as of a block, under the name that the query uses."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, strict=True, frozen=True)

    id: str
    alias: str
    block_hash: str | None = None


class QueryForm(BaseModel):
    """The body of `POST /query`; unknown keys are refused."""

    model_config = ConfigDict(
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        strict=True,
        frozen=True,
    )

    query: str
    query_dialect: Annotated[Dialect, lenient(Dialect)] = Dialect.SQL_DATA_FUSION
    data_format: LenientFormat = DataFormat.JSON_AOS
    include: Annotated[tuple[Annotated[Include, lenient(Include)], ...], Field(strict=False)] = ()
    schema_format: LenientSchemaFormat = None
    datasets: Annotated[tuple[PinnedDataset, ...] | None, Field(strict=False)] = None
    skip: Count = 0
    limit: Count | None = None

    def only_offered(self) -> Self:
        """Raise NotOfferedError for what this node cannot answer yet."""
        refuse_schema(self.schema_format)
        if self.include:
            parts = " and ".join(sorted(self.include))
            raise NotOfferedError(f"this node does not offer `include` yet (asked for {parts}): leave it out")
        if self.datasets:
            raise NotOfferedError("this node does not offer pinned `datasets` yet: leave them out")
        return self


def refuse_schema(asked: SchemaFormat | None) -> None:
    """Raise NotOfferedError if a schema is asked for."""
    if asked is not None:
        raise NotOfferedError(f"this node does not offer schemas yet (asked for {asked}): leave out `schemaFormat`")


def includes(text: str | None) -> Iterable[str]:
    """The comma separated list of a query string."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]
