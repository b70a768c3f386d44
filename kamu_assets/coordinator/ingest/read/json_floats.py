"""Floats in JSON as the reference prints them: shortest digits, an exponent only for very large and small ones."""

import re

_EXPONENT = re.compile(r"(-?)(\d)(?:\.(\d+))?e([+-]\d+)")
_LEAST = -5


def json_float(value: float) -> str:
    """A finite float; what Python writes with an exponent differs."""
    found = _EXPONENT.fullmatch(repr(value))
    if found is None:
        return repr(value)
    sign, first, rest, exponent = found[1], found[2], found[3] or "", int(found[4])
    if _LEAST <= exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{first}{rest}"
    return f"{sign}{first}{'.' + rest if rest else ''}e{exponent}"
