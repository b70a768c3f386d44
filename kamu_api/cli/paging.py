"""Long texts, a screen at a time where people read them."""

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable

from kamu_api.cli.output import say

# What less does unless told otherwise: end at once if all fits on the screen, keep colours, leave the text there.
_LESS = "FRX"


def page(parts: Iterable[str]) -> None:
    """Print the parts; on a terminal through `$PAGER`, or less, which may be left before all of them were made."""
    pager = _started() if sys.stdout.isatty() else None
    if pager is None or pager.stdin is None:
        for part in parts:
            say(part)
        return
    # Ctrl-C is for the pager, and means no more text to us.
    try:
        with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
            for part in parts:
                pager.stdin.write(f"{part}\n".encode(errors="backslashreplace"))
                pager.stdin.flush()
    finally:
        _wait(pager)


def _started() -> "subprocess.Popen[bytes] | None":
    command = shlex.split(os.environ.get("PAGER", "less"))
    if not command:
        return None
    try:
        return subprocess.Popen(command, stdin=subprocess.PIPE, env={"LESS": _LESS, **os.environ})
    except OSError:
        return None


def _wait(pager: "subprocess.Popen[bytes]") -> None:
    """Until it ends, whatever happens: it has the terminal."""
    while pager.returncode is None:
        with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
            if pager.stdin is not None:
                pager.stdin.close()
            pager.wait()
