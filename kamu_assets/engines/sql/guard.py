"""Only queries: what SQL may not do, and what DataFusion says about it in fewer words."""

import errno
import os
import re
from typing import Final

import datafusion

from kamu_assets.engines.sql.depth import nesting_depth
from kamu_assets.engines.sql.errors import InvalidQueryError, StatementNotAllowedError
from kamu_assets.engines.workers.limits import DiskRefusedError, NoSpaceError
from kamu_assets.errors import InvalidError, KamuError

_MAX_TEXT: Final = 1 << 20
_MAX_DEPTH: Final = 1_000
_PREFIXES: Final = re.compile(
    r"^((?:DataFusion|Arrow|SQL|Schema|Execution|External|Cast|Parquet) error: |Error during planning: |Exception: )+"
)
_PARSER_ERROR: Final = re.compile(r"^(?:ParserError|TokenizerError)\((?P<text>\".*\")\)", re.DOTALL)
# A hint for columns is often far off, and kamu gives none; the list of valid ones follows anyway.
_COLUMN_HINT: Final = re.compile(r"(?<=^No field named )(?P<name>.*?)\. Did you mean '.*?'\?\n")
_DIAGNOSTICS: Final = re.compile(r"\n(?:diagnostics|backtrace|Backtrace|help|\nThis issue was likely).*", re.DOTALL)
_REFUSED: Final = re.compile(r"^(DDL|DML|Statement) not supported: (?P<kind>\w+)")
_NO_MEMORY: Final = re.compile(r"^Resources exhausted: (?!The used disk space)")
# As the system says it, through whatever layers.
_NO_SPACE: Final = os.strerror(errno.ENOSPC)
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BROKEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE})
_NOT_FOUND: Final = re.compile(r"^table '(?P<name>[^']+)' not found$")
# Catalogs and schemas of our sessions.
_OWN: Final = re.compile(r"^(?:kamu\.kamu|odf\.odf|datafusion\.public)\.")
_OWN_CATALOG: Final = re.compile(r"^(?:kamu|odf|datafusion)\.")
# Told from the first word: some fail for another reason before DataFusion notices that they are not allowed.
_STATEMENT: Final = re.compile(
    r"^(?:\s|--[^\n]*\n|/\*.*?\*/|\bexplain\b|\banalyze\b|\bverbose\b)*"
    r"(?P<kind>alter|attach|begin|call|commit|copy|create|deallocate|delete|detach|drop|execute|export|grant|import|insert"
    r"|install|kill|load|merge|pragma|prepare|replace|reset|revoke|rollback|set|truncate|unload|update|use|vacuum)\s",
    re.IGNORECASE | re.DOTALL,
)
_OTHER_STATEMENTS: Final = re.compile(r"Unsupported (SQL statement|logical plan)")
_AFTER_WITH: Final = re.compile(r"^This feature is not implemented: Query (?P<kind>INSERT|UPDATE|DELETE|MERGE)\b")


def plan_query(context: datafusion.SessionContext, sql: str) -> datafusion.DataFrame:
    """Plan one query; writes, settings and other statements are refused."""
    if len(sql) > _MAX_TEXT:
        raise InvalidQueryError(f"the query is longer than {_MAX_TEXT} characters")
    if nesting_depth(sql) > _MAX_DEPTH:
        raise InvalidQueryError(
            f"the query nests more than {_MAX_DEPTH} operators and brackets; use IN, VALUES or joins"
        )
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise InvalidQueryError(f"the query is no Unicode text: half a character at position {error.start}") from None
    options = datafusion.SQLOptions().with_allow_ddl(False).with_allow_dml(False).with_allow_statements(False)
    try:
        return context.sql_with_options(sql, options)
    except BaseException as error:  # noqa: BLE001 - a panic of the library is a BaseException
        refuse_panic(error)
        raise _planning_error(error, sql) from None


def _planning_error(error: BaseException, sql: str) -> InvalidError:
    text = plain_text(error)
    if refused := _REFUSED.match(text) or _AFTER_WITH.match(text):
        return StatementNotAllowedError(refused["kind"])
    if _OTHER_STATEMENTS.search(text):
        return StatementNotAllowedError(text.removeprefix("This feature is not implemented: "))
    if statement := _STATEMENT.match(sql):
        return StatementNotAllowedError(statement["kind"].upper())
    return InvalidQueryError(text + _hint_of_quotes(text))


def _hint_of_quotes(text: str) -> str:
    """`a.b` and `a.b.c` without quotes are a schema and a catalog to the parser."""
    found = _NOT_FOUND.match(text)
    if found is None or "." not in found["name"] or _OWN.match(found["name"]):
        return ""
    return f'; a name with dots needs quotes: "{_OWN_CATALOG.sub("", found["name"])}"'


def plain_text(error: BaseException) -> str:
    """The message without the names of the layers it came through."""
    text = _DIAGNOSTICS.sub("", _PREFIXES.sub("", str(error)))
    text = _COLUMN_HINT.sub(r"\g<name>. ", text)
    parser = _PARSER_ERROR.match(text)
    if parser is None:
        return text
    return "sql parser error: " + parser["text"][1:-1].replace('\\"', '"').replace("\\\\", "\\")


def refuse_panic(error: BaseException) -> None:
    """Let through what is no answer of the engine: interrupts, exits, our own errors, no memory, bad disks."""
    if _NO_MEMORY.match(plain_text(error)):
        # Whoever set the limit knows its name.
        raise MemoryError from error
    if getattr(error, "errno", None) in _FULL or _NO_SPACE in str(error):
        raise NoSpaceError from error
    if isinstance(error, OSError) and error.errno in _BROKEN:
        place = None if error.filename is None else str(error.filename)
        raise DiskRefusedError(place, os.strerror(error.errno)) from error
    # PyO3's panics are no Exceptions either.
    is_interrupt = not isinstance(error, Exception) and type(error).__name__ != "PanicException"
    if is_interrupt or isinstance(error, (MemoryError, KamuError)):
        raise error
