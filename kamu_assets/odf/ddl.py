"""SQL column definitions as ODF schemas: the `ddlSchema` of read steps (ODF: ReadStep).

Only a small part of SQL is accepted, and by design the same part as upstream accepts.
"""

import re
from collections.abc import Sequence
from typing import Final

from kamu_assets.errors import InvalidError
from kamu_assets.odf.data import (
    BoolType,
    DataField,
    DataSchema,
    DataType,
    DateType,
    DecimalType,
    Float32Type,
    Float64Type,
    Int32Type,
    Int64Type,
    ListType,
    OptionType,
    StringType,
    TimestampType,
    TimeUnit,
    UInt32Type,
    UInt64Type,
)

ACCEPTED_TYPES: Final = (
    "BOOL, BOOLEAN, INT [UNSIGNED], INTEGER [UNSIGNED], BIGINT [UNSIGNED], FLOAT, DOUBLE, DECIMAL(precision, scale), "
    "DATE, TIMESTAMP, STRING, VARCHAR, TEXT, ARRAY<type>"
)

_TOKEN: Final = re.compile(r'\s*(?:(?P<word>[^\W\d][\w$@#]*|"(?:[^"]|"")+"|`(?:[^`]|``)+`)|(?P<other>\d+|\S)|$)')
_TIMESTAMP: Final = TimestampType(unit=TimeUnit.MILLISECOND, timezone="UTC")
_PLAIN: Final[dict[str, DataType]] = {
    "BOOL": BoolType(),
    "BOOLEAN": BoolType(),
    "FLOAT": Float32Type(),
    "DOUBLE": Float64Type(),
    "DATE": DateType(),
    "TEXT": StringType(),
}
_SIZED: Final[dict[str, DataType]] = {
    "TIMESTAMP": _TIMESTAMP,
    "STRING": StringType(),
    "VARCHAR": StringType(),
}
_INTEGERS: Final[dict[str, tuple[DataType, DataType]]] = {
    "INT": (Int32Type(), UInt32Type()),
    "INTEGER": (Int32Type(), UInt32Type()),
    "BIGINT": (Int64Type(), UInt64Type()),
}
_MAX_PRECISION: Final = 76
_MAX_DEPTH: Final = 32


class DdlError(InvalidError):
    """A column definition that is not SQL, or not the part of SQL that sources may use."""

    def __init__(self, column: str | None, problem: str) -> None:
        super().__init__(f"column `{column}` of the DDL schema: {problem}" if column else f"DDL schema: {problem}")
        self.column = column


def parse_ddl(columns: Sequence[str]) -> DataSchema:
    """Read column definitions such as `price DECIMAL(10, 2) NOT NULL`; types and keywords in any case."""
    parser = _Parser(", ".join(columns))
    fields: list[DataField] = []
    while not parser.at_end():
        if fields:
            parser.expect(",")
        fields.append(parser.column())
        if fields[-1].name in {field.name for field in fields[:-1]}:
            raise DdlError(fields[-1].name, "it is defined twice")
    return DataSchema(fields=tuple(fields))


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = [match.group("word") or match.group("other") for match in _TOKEN.finditer(text)]
        # The last match is the end of the text.
        self._tokens = [token for token in self._tokens if token]
        self._position = 0
        self._column: str | None = None

    def at_end(self) -> bool:
        return self._position == len(self._tokens)

    def column(self) -> DataField:
        self._column = None
        self._column = self._name()
        data_type = self._type(depth=0)
        required = self._options()
        # Upstream never makes these two optional, and schemas in the world are so.
        if required or isinstance(data_type, DateType | DecimalType):
            return DataField(name=self._column, type=data_type)
        return DataField(name=self._column, type=OptionType(inner=data_type))

    def expect(self, token: str) -> None:
        found = self._next()
        if found != token:
            raise self._error(f"expected `{token}`, found {found or 'the end'}")

    def _peek(self) -> str:
        return "" if self.at_end() else self._tokens[self._position]

    def _next(self) -> str:
        token = self._peek()
        self._position += bool(token)
        return token

    def _accept(self, word: str) -> bool:
        accepted = self._peek().upper() == word
        self._position += accepted
        return accepted

    def _error(self, problem: str) -> DdlError:
        return DdlError(self._column, problem)

    def _name(self) -> str:
        token = self._next()
        if token[:1] in {'"', "`"} and len(token) > 1:
            quote = token[0]
            return token[1:-1].replace(quote * 2, quote)
        if not re.match(r"[^\W\d]", token):
            raise self._error(f"expected the name of a column, found {token or 'the end'}")
        return token

    def _type(self, *, depth: int) -> DataType:
        word = self._next().upper()
        if word == "ARRAY":
            return self._array(depth=depth + 1)
        if word == "DECIMAL":
            return self._decimal()
        if word in _INTEGERS:
            self._skip_size()
            signed, unsigned = _INTEGERS[word]
            return unsigned if self._accept("UNSIGNED") else signed
        if word in _SIZED:
            self._skip_size()
            return _SIZED[word]
        if word in _PLAIN:
            return _PLAIN[word]
        problem = f"type {word} is not supported" if word not in {"", ","} else "it has no type"
        raise self._error(f"{problem}; accepted types are {ACCEPTED_TYPES}")

    def _array(self, *, depth: int) -> DataType:
        if depth > _MAX_DEPTH:
            raise self._error(f"arrays are nested more than {_MAX_DEPTH} times")
        self.expect("<")
        item = self._type(depth=depth)
        self.expect(">")
        return ListType(item_type=OptionType(inner=item))

    def _decimal(self) -> DataType:
        if self._peek() != "(":
            raise self._error("DECIMAL needs both numbers, as in DECIMAL(10, 2)")
        self.expect("(")
        precision = self._number()
        if self._peek() == ")":
            raise self._error("DECIMAL needs both numbers, as in DECIMAL(10, 2)")
        self.expect(",")
        scale = self._number()
        self.expect(")")
        if not 1 <= precision <= _MAX_PRECISION or scale > precision:
            raise self._error(
                f"DECIMAL({precision}, {scale}) must have 1 to {_MAX_PRECISION} digits and no larger scale"
            )
        return DecimalType(precision=precision, scale=scale)

    def _number(self) -> int:
        token = self._next()
        if not re.fullmatch(r"[0-9]{1,9}", token):
            raise self._error(f"expected a number, found {token or 'the end'}")
        return int(token)

    def _skip_size(self) -> None:
        """Lengths and display widths change nothing about the ODF type."""
        if self._peek() == "(":
            self.expect("(")
            self._number()
            self.expect(")")

    def _options(self) -> bool:
        """Whether NOT NULL is given: the only option there is."""
        required = self._accept("NOT")
        if required and not self._accept("NULL"):
            raise self._error(f"expected NULL after NOT, found {self._peek() or 'the end'}")
        if self._peek() not in {"", ","}:
            raise self._error(f"unexpected {self._peek()} after the type; only NOT NULL may follow")
        return required
