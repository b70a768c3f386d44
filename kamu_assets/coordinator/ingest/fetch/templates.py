"""`${{ env.NAME || 'default' || 1 }}` in sources: the first alternative that has a value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kamu_assets.coordinator.ingest.errors import TemplateError

_TEMPLATE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_VARIABLE = re.compile(r"env\.([A-Za-z_][A-Za-z0-9_]*)")
_LITERAL = re.compile(r"'([^']*)'|\"([^\"]*)\"|(-?\d+(?:\.\d+)?|true|false)")


@dataclass(frozen=True, slots=True)
class Filled:
    """A text without templates."""

    value: str
    # The same for messages and logs: values of variables may be secrets, so their templates stay.
    shown: str


def fill_templates(text: str, variables: Mapping[str, str]) -> Filled:
    """The text with every template replaced."""
    return Filled(_replaced(text, variables, hide=False), _replaced(text, variables, hide=True))


def _replaced(text: str, variables: Mapping[str, str], *, hide: bool) -> str:
    def value(match: re.Match[str]) -> str:
        found = _value(match[1].strip(), variables)
        return match[0] if hide and found.is_secret else found.text

    return _TEMPLATE.sub(value, text)


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    is_secret: bool


def _value(expression: str, variables: Mapping[str, str]) -> _Value:
    wanted = []
    for part in (part.strip() for part in expression.split("||")):
        if variable := _VARIABLE.fullmatch(part):
            wanted.append(variable[1])
            if variable[1] in variables:
                return _Value(variables[variable[1]], is_secret=True)
        elif literal := _LITERAL.fullmatch(part):
            return _Value(next(group for group in literal.groups() if group is not None), is_secret=False)
        else:
            raise TemplateError(f"cannot read `{part}` in the template `{expression}`")
    raise TemplateError(
        f"variable {' or '.join(wanted)} is not set, and the template has no default: set it in ingest.variables"
    )
