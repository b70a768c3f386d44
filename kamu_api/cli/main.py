"""`kamu-node`: the entry point. Everything heavy is imported by the command that needs it."""

import contextlib
import io
import os
import sys

from kamu_api.cli.unread import quiet_when_unread

_STDERR = 2


def main() -> None:
    """Run the command line."""
    _prepare_streams()
    with quiet_when_unread():
        _run()


def _run() -> None:
    """The version is answered without loading anything."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        from importlib.metadata import version

        print(f"kamu-node {version('kamu-node')}")
        return
    from kamu_api.cli.app import run

    run()


def _prepare_streams() -> None:
    """Closed ones are empty; characters that a terminal does not know are escaped rather than an error."""
    # What is opened next would take their numbers: a pipe to a worker that is its standard output, say.
    with contextlib.suppress(OSError):
        while (lowest := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
            os.set_inheritable(lowest, True)
        os.close(lowest)
    if sys.stdin is None:
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123 - as long as the process
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - as above
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    main()
