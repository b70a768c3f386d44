"""How deeply SQL nests, told from its text.

Parsers and planners recurse, and native ones end the process when the stack does; their time grows with the square of
long chains besides. `a OR b OR c` nests as deeply as `((a) OR b) OR c`: operators count like brackets, until a comma or
the end of the bracket they stand in.
"""

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"""
      (?P<skip>'(?:[^']|'')*' | "(?:[^"]|"")*" | `[^`]*` | --[^\n]* | /\*.*?\*/ | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<open>[(\[{] | \b(?:case)\b)
    | (?P<close>[)\]}] | \b(?:end)\b)
    | (?P<comma>,)
    | (?P<operator>\b(?:or|and|not|union|except|intersect|join|is|like|between|in)\b | ::|[-+*/%^&|~<>=!@?#]+)
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def nesting_depth(sql: str) -> int:
    """The deepest nesting an expression tree of this text can have, roughly."""
    outer: list[int] = []
    here = below = deepest = 0
    for token in _TOKEN.finditer(sql):
        match token.lastgroup:
            case "open":
                outer.append(here)
                below += here + 1
                here = 0
            case "close" if outer:
                here = outer.pop()
                below -= here + 1
            case "comma":
                here = 0
            case "operator":
                here += 1 if token["operator"].isalpha() else len(token["operator"])
        deepest = max(deepest, below + here)
    return deepest
