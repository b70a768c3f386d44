"""Values that absent fields stand for: a reader applies them, the wire forms leave them out."""

from typing import TypeVar

from kamu_assets.odf.data import DurationType, TimestampType, TimeType, TimeUnit
from kamu_assets.odf.source import ReadStepCsv
from kamu_assets.odf.typedef import OdfModel

_Value = TypeVar("_Value")

_DEFAULTS: dict[type[OdfModel], dict[str, object]] = {
    DurationType: {"unit": TimeUnit.MILLISECOND},
    TimeType: {"unit": TimeUnit.MILLISECOND},
    TimestampType: {"unit": TimeUnit.MILLISECOND, "timezone": "UTC"},
    ReadStepCsv: {
        "separator": ",",
        "encoding": "utf8",
        "quote": '"',
        "escape": "\\",
        "header": False,
        "infer_schema": False,
        "null_value": "",
    },
}


def with_defaults(value: _Value) -> _Value:
    """The same document with all defaults spelled out: two documents that mean the same become equal."""
    if isinstance(value, tuple):
        return type(value)(with_defaults(item) for item in value)
    if not isinstance(value, OdfModel):
        return value
    defaults = _DEFAULTS.get(type(value), {})
    update = {}
    for name in type(value).model_fields:
        field = getattr(value, name)
        update[name] = defaults.get(name) if field is None else with_defaults(field)
    return value.model_copy(update=update)
