"""How ingest refuses: every class tells its `kind`, the message tells file, line, column and value."""

from typing import ClassVar

from kamu_assets.errors import InvalidError, NotFoundError, UnavailableError


class IngestError(InvalidError):
    """The source or its data cannot be taken as they are."""

    kind: ClassVar[str] = "bad-input"


class BadInputError(IngestError):
    """The data is not what its format says: cut off, ragged, wrongly encoded."""


class TooLargeError(IngestError):
    """A part of the input goes beyond a limit, which the message names."""

    kind = "limit"


class TypeMismatchError(IngestError):
    """A value does not fit the type of its column."""

    kind = "type-error"


class NullInRequiredError(IngestError):
    """A column that must have values has none in some row."""

    kind = "null-in-required"


class DuplicateColumnError(IngestError):
    """Two columns share a name."""

    kind = "duplicate-column"


class MissingColumnError(IngestError):
    """The merge strategy needs a column that the data does not have."""

    kind = "missing-column"


class SystemColumnInInputError(IngestError):
    """The data brings a column that the node itself writes."""

    kind = "system-column-in-input"


class BadEventTimeError(IngestError):
    """The event time column is neither a date nor a timestamp."""

    kind = "bad-event-time"


class EventTimeSourceError(IngestError):
    """The event time of a source cannot be found out the way its manifest says."""

    kind = "event-time-source"


class IncompatibleSchemaError(IngestError):
    """The data does not have the columns of the dataset."""

    kind = "schema-incompatible"


class UnsupportedColumnTypeError(IngestError):
    """A column has a type that ODF datasets cannot hold."""

    kind = "unsupported-type"


class UnsupportedColumnNameError(IngestError):
    """A column has a name that nobody could use."""

    kind = "unsupported-name"


class UnsupportedOptionError(IngestError):
    """A reader option has a value that is not supported."""

    kind = "unsupported-option"


class UnsupportedSchemaError(IngestError):
    """The DDL of a read step is not understood."""

    kind = "unsupported-schema"


class UnsupportedStepError(IngestError):
    """A fetch or prepare step is known to ODF, but not yet to this node."""

    kind = "unsupported-step"


class UnsupportedMediaTypeError(IngestError):
    """Pushed data is of a media type that nobody here reads."""

    kind = "unsupported-media-type"


class UnsupportedEncodingError(IngestError):
    """A server sends something in a content coding that nobody asked for."""


class BadArchiveError(IngestError):
    """A file to unpack is no archive, is cut off or contradicts itself."""

    kind = "bad-archive"


class BadSqlError(IngestError):
    """The preprocess query cannot be planned."""

    kind = "bad-sql"


class SqlRuntimeError(IngestError):
    """The preprocess query failed on the data."""

    kind = "sql-runtime"


class UnknownEngineError(IngestError):
    """The preprocess step names an engine that does not run it here."""

    kind = "unknown-engine"


class BadGlobError(IngestError):
    """The pattern of a `filesGlob` source is not one."""

    kind = "bad-glob"


class BadUrlError(IngestError):
    """The address of a `url` source is not one."""

    kind = "bad-url"


class UnsupportedSchemeError(IngestError):
    """The address of a `url` source starts with a scheme that nobody here fetches."""

    kind = "unsupported-scheme"


class FileNotAllowedError(IngestError):
    """A file of this machine is outside of the folders that sources may read."""

    kind = "file-not-allowed"


class TemplateError(IngestError):
    """A `${{ … }}` in a source names a variable that is not set and has no default."""

    kind = "template-error"


class SourceNotFoundError(NotFoundError):
    """There is nothing at the address of the source."""

    kind: ClassVar[str] = "source-not-found"


class SourceUnreachableError(UnavailableError):
    """The source did not answer, answered with an error or stopped in the middle; trying again may help."""

    kind: ClassVar[str] = "source-unreachable"


class SourceChangedError(UnavailableError):
    """A file was written while it was read, so that what was read may be half old, half new; nothing of it is kept."""

    kind: ClassVar[str] = "source-changed"


class PushSourceNotFoundError(IngestError):
    """The dataset has no push source of this name."""

    kind = "push-source-not-found"


class PushSourceAmbiguousError(IngestError):
    """The dataset has several push sources and none was named."""

    kind = "push-source-ambiguous"


class NotRootError(IngestError):
    """Derivative datasets take no data from outside."""

    kind = "not-root"


class QueueFullError(UnavailableError):
    """More pushes wait for their commit than the node is willing to hold."""

    kind: ClassVar[str] = "queue-full"
