"""Column types that hold values of the domain, never bare strings."""

from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import BigInteger, Dialect, Integer, Text, TypeDecorator
from sqlalchemy.types import TypeEngine

from kamu_assets.odf.identity import AccountID, AccountName, DatasetID, DatasetName
from kamu_assets.odf.multihash import Multihash
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.odf.typedef import TextValue

_Value = TypeVar("_Value", bound=TextValue)

# Integer keys that the database counts up; SQLite does that only for its own INTEGER.
RowNumber = BigInteger().with_variant(Integer(), "sqlite")


class TimestampColumn(TypeDecorator[Timestamp]):
    """A system time: nanoseconds since the epoch, years 1678 to 2262. Event times go to `EventTimeColumn`."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Timestamp | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's
        """To the database."""
        return None if value is None else value.ns

    def process_result_value(self, value: int | None, dialect: Dialect) -> Timestamp | None:  # noqa: ARG002 - SQLAlchemy's
        """From the database."""
        return None if value is None else Timestamp(value)


class _TextColumn(TypeDecorator[_Value], Generic[_Value]):
    """A value as its text form."""

    impl: TypeEngine[Any] | type[TypeEngine[Any]] = Text
    cache_ok = True
    value_type: ClassVar[type[TextValue]]

    def process_bind_param(self, value: _Value | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        """To the database."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> _Value | None:  # noqa: ARG002 - SQLAlchemy's
        """From the database."""
        return None if value is None else self.value_type.parse(value)  # type: ignore[return-value] # subclasses pair both


class DatasetIDColumn(_TextColumn[DatasetID]):
    """`did:odf:…`."""

    cache_ok = True
    value_type = DatasetID


class AccountIDColumn(_TextColumn[AccountID]):
    """`did:odf:…` or `did:pkh:…`."""

    cache_ok = True
    value_type = AccountID


class DatasetNameColumn(_TextColumn[DatasetName]):
    """A name as spelled; compare and index another column that holds `name.folded`."""

    cache_ok = True
    value_type = DatasetName


class AccountNameColumn(_TextColumn[AccountName]):
    """A name as spelled; compare and index another column that holds `name.folded`."""

    cache_ok = True
    value_type = AccountName


class MultihashColumn(_TextColumn[Multihash]):
    """`f1620…`."""

    cache_ok = True
    value_type = Multihash


class EventTimeColumn(_TextColumn[Timestamp]):
    """A moment of any year, as RFC 3339 text; not to be ordered by."""

    cache_ok = True
    value_type = Timestamp
