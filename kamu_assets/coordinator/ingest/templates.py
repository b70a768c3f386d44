"""`${{ env.NAME || 'default' || 1 }}` in sources: the first alternative that has a value."""

import re
from collections.abc import Mapping

from kamu_assets.coordinator.ingest.errors import TemplateError

_TEMPLATE = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_VARIABLE = re.compile(r"env\.([A-Za-z_][A-Za-z0-9_]*)")
_LITERAL = re.compile(r"'([^']*)'|\"([^\"]*)\"|(-?\d+(?:\.\d+)?|true|false)")


def fill_templates(text: str, variables: Mapping[str, str]) -> str:
    """The text with every template replaced."""
    return _TEMPLATE.sub(lambda match: _value(match[1].strip(), variables), text)


def _value(expression: str, variables: Mapping[str, str]) -> str:
    wanted = []
    for part in (part.strip() for part in expression.split("||")):
        if variable := _VARIABLE.fullmatch(part):
            wanted.append(variable[1])
            if variable[1] in variables:
                return variables[variable[1]]
        elif literal := _LITERAL.fullmatch(part):
            return next(group for group in literal.groups() if group is not None)
        else:
            raise TemplateError(f"cannot read `{part}` in the template `{expression}`")
    raise TemplateError(f"variable {' or '.join(wanted)} is not set, and the template has no default")
