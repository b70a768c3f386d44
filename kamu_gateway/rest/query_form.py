"""What `/query` may be asked, in JSON or in a query string; spellings of enumerations are taken leniently."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash
from kamu_assets.query.formats.schemas import SchemaFormat
from kamu_assets.query.model import DataFormat, UnknownFormatError
from kamu_gateway.edge.form_errors import unknown_variant, wrong_type

E = TypeVar("E", bound=StrEnum)


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


def leniently(choices: type[E], text: object) -> E:
    """The member that `text` spells, with or without hyphens, in any case."""
    if not isinstance(text, str):
        raise ValueError(wrong_type(text, "a string"))  # noqa: TRY004 - what a validator may raise
    folded = text.replace("-", "").lower()
    for member in choices:
        if member.value.lower() == folded:
            return member
    raise ValueError(unknown_variant(text, choices))


def data_format(text: object) -> DataFormat:
    """The same for formats of data, which have a list of spellings."""
    if not isinstance(text, str):
        raise ValueError(wrong_type(text, "a string"))  # noqa: TRY004 - what a validator may raise
    try:
        return DataFormat.parse(text)
    except UnknownFormatError as error:
        raise ValueError(str(error)) from error


def digits(text: object) -> object:
    """Refuse numbers that only Python takes for some: with spaces, underscores or digits of other scripts."""
    if isinstance(text, str) and not (text.isascii() and text.removeprefix("+").isdecimal()):
        raise PydanticCustomError("int_parsing", "no number")
    return text


def lenient(choices: type[E]) -> BeforeValidator:
    """The validator of a field of this enumeration; absent stays absent."""
    return BeforeValidator(lambda text: None if text is None else leniently(choices, text))


LenientFormat = Annotated[DataFormat, BeforeValidator(data_format)]
LenientSchemaFormat = Annotated[SchemaFormat | None, lenient(SchemaFormat)]
Count = Annotated[int, Field(ge=0, lt=1 << 64)]
CountInUrl = Annotated[Count, BeforeValidator(digits)]


class PinnedDataset(BaseModel):
    """A dataset as of a block, under the name that the query uses."""

    model_config = ConfigDict(
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        strict=True,
        frozen=True,
    )

    id: DatasetID
    alias: str
    block_hash: Multihash | None = None


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

    def filled(self) -> Self:
        """With what is implied said: a proof is about an input, and a schema has a format."""
        wanted = set(self.include)
        if Include.PROOF in wanted:
            wanted.add(Include.INPUT)
        if self.schema_format is not None:
            wanted.add(Include.SCHEMA)
        schema_format = self.schema_format or (SchemaFormat.ARROW_JSON if Include.SCHEMA in wanted else None)
        return self.model_copy(update={"include": tuple(sorted(wanted)), "schema_format": schema_format})


def includes(text: str | None) -> Iterable[str]:
    """The comma separated list of a query string."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]
