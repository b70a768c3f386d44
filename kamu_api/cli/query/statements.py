"""Where SQL statements end: pure, and true to quotes and comments (ISO 9075, nested comments included)."""

import re
from typing import Final

# What may hold a semicolon that ends nothing. An open one reaches to the end of the text.
_TOKEN: Final = re.compile(
    r"""(?P<string>'(?:[^']|'')*(?:'|\Z)) | (?P<name>"(?:[^"]|"")*(?:"|\Z)) | (?P<line>--[^\n]*) | (?P<block>/\*)
    | (?P<end>;) | (?P<other>[^'"\-/;]+|.)""",
    re.VERBOSE | re.DOTALL,
)
_MARK: Final = re.compile(r"/\*|\*/")


def split_statements(text: str) -> tuple[list[str], str]:
    """The statements that a semicolon ends, without it, and what follows the last one."""
    done, start, position = [], 0, 0
    while found := _TOKEN.match(text, position):
        position = _end_of_comment(text, found.end()) if found.lastgroup == "block" else found.end()
        if found.lastgroup == "end":
            done.append(text[start : found.start()].strip())
            start = position
    return [statement for statement in done if statement], text[start:]


def all_statements(text: str) -> list[str]:
    """Every statement, the last one with or without a semicolon."""
    done, rest = split_statements(text)
    return [*done, rest.strip()] if without_comments(rest).strip() else done


def is_complete(text: str) -> bool:
    """Whether a line for the prompt can be taken: empty, a command of the prompt, or ended by a semicolon."""
    done, rest = split_statements(text)
    bare = text.strip()
    return not bare or bare.startswith("\\") or (bool(done) and not without_comments(rest).strip())


def without_comments(text: str) -> str:
    """The text with blanks for comments."""
    parts, position = [], 0
    while found := _TOKEN.match(text, position):
        position = _end_of_comment(text, found.end()) if found.lastgroup == "block" else found.end()
        parts.append(" " if found.lastgroup in ("block", "line") else found[0])
    return "".join(parts)


def _end_of_comment(text: str, position: int) -> int:
    depth = 1
    while depth and (mark := _MARK.search(text, position)):
        depth += 1 if mark[0] == "/*" else -1
        position = mark.end()
    return len(text) if depth else position
