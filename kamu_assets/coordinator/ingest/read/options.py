"""Options of read steps: what they may be is what the reference accepts. Loads no engine."""

from kamu_assets.coordinator.ingest.errors import UnsupportedOptionError
from kamu_assets.coordinator.ingest.read.csv_records import CsvDialect
from kamu_assets.odf.source import ReadStepCsv, ReadStepJson, ReadStepNdJson

_TIME_FORMATS = (None, "rfc3339")


def csv_dialect(step: ReadStepCsv) -> CsvDialect:
    """How the fields of a CSV file are parted; checks every option."""
    _check_encoding(step.encoding, "Csv")
    _check_one_of(step.null_value, (None, ""), "Csv.nullValue")
    _check_one_of(step.date_format, _TIME_FORMATS, "Csv.dateFormat")
    _check_one_of(step.timestamp_format, _TIME_FORMATS, "Csv.timestampFormat")
    return CsvDialect(
        separator=_one_character(step.separator, "Csv.separator") or ",",
        quote=_one_character(step.quote, "Csv.quote") or '"',
        escape=_one_character(step.escape, "Csv.escape") or "\\",
    )


def check_json_options(step: ReadStepJson | ReadStepNdJson) -> None:
    """The same options for JSON."""
    _check_encoding(step.encoding, step.kind)
    _check_one_of(step.date_format, _TIME_FORMATS, f"{step.kind}.dateFormat")
    _check_one_of(step.timestamp_format, _TIME_FORMATS, f"{step.kind}.timestampFormat")


def _one_character(value: str | None, option: str) -> str | None:
    if value and (len(value) > 1 or not value.isascii()):
        raise UnsupportedOptionError(f"{option} must be a single ASCII character, not {value!r}")
    return value or None


def _check_encoding(value: str | None, reader: str) -> None:
    _check_one_of(value, (None, "utf8"), f"{reader}.encoding")


def _check_one_of(value: str | None, allowed: tuple[str | None, ...], option: str) -> None:
    if value not in allowed:
        choices = ", ".join(repr(choice) for choice in allowed if choice is not None)
        raise UnsupportedOptionError(f"unsupported {option}: {value!r}; supported: {choices}")
