"""The program that forks workers: `python -m kamu_assets.engines.workers.nursery_main`.

It imports what workers need, starts no thread and runs no job, so that each fork is a clean, warm process. It ends when
its parent closes the control socket, and its workers end with it.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import struct
import sys

_PID = struct.Struct("!q")
_COMMAND_BYTES = 64 << 10


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    setup = json.loads(control.recv(_COMMAND_BYTES))
    sys.path[:] = setup["path"]
    for module in setup["preload"]:
        importlib.import_module(module)
    # Looking for garbage among what is here already would only copy its memory in every worker.
    gc.freeze()
    try:
        control.send(_PID.pack(len(os.listdir("/proc/self/task"))))  # noqa: PTH208 - procfs, only the count matters
    except BrokenPipeError:
        return
    while True:
        try:
            command, descriptors, _, _ = socket.recv_fds(control, _COMMAND_BYTES, 2)
        except ConnectionResetError:
            # The parent left before it read what we said; nobody is interested in how we end.
            return
        if not command:
            return
        if descriptors:
            control.send(_PID.pack(_fork(control, *descriptors, network=command == b"N")))
        else:
            control.send(_PID.pack(_bury(*_PID.unpack(command))))


def _fork(control: socket.socket, descriptor: int, output: int | None = None, *, network: bool) -> int:
    from kamu_assets.engines.workers import process

    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        control.close()
        try:
            process.serve(socket.socket(fileno=descriptor), output, parent=parent, network=network)
        finally:
            os._exit(1)
    os.close(descriptor)
    if output is not None:
        os.close(output)
    return pid


def _bury(pid: int) -> int:
    """Kill the worker and what it started; give its wait status, which tells whether it was dead already."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


if __name__ == "__main__":
    main()
