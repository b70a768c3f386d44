"""What would give another result on another run, or only about the right one."""

from collections.abc import Sequence
from typing import Final

from kamu_assets.engines.incremental.errors import UnsupportedConstructError
from kamu_assets.engines.incremental.tokens import Token

_WITHOUT_BRACKETS: Final = ("CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP")
_FUNCTIONS: Final = frozenset(
    {*_WITHOUT_BRACKETS, "NOW", "RANDOM", "RAND", "UUID", "TODAY", "PROCTIME", "FILE_ROW_INDEX", "INPUT_FILE_NAME"}
)


def check_steady(tokens: Sequence[Token]) -> None:
    """Refuse clocks, chance and approximations, whether or not they are in a place that matters."""
    for at, token in enumerate(tokens):
        name = (token.name or "").upper()
        is_called = at + 1 < len(tokens) and tokens[at + 1].text == "("
        if is_called and name.startswith("APPROX_"):
            raise UnsupportedConstructError(f"{name.lower()}(), an approximation,")
        if is_called and name in _FUNCTIONS:
            raise UnsupportedConstructError(f"{name.lower()}(), which is not the same on every run,")
        if token.is_word(*_WITHOUT_BRACKETS) and not (at > 0 and tokens[at - 1].text == "."):
            raise UnsupportedConstructError(f"{name.lower()}, which is not the same on every run,")
