"""Jobs that behave, and jobs that do not. Workers import them by name."""

import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from kamu_assets.engines.workers.process import ask, report
from kamu_assets.errors import InvalidError, NotFoundError

SECRET = "s3cret-of-the-node"


class CupMissingError(NotFoundError):
    """Takes facts, not a message, as our errors do."""

    def __init__(self, cup: int) -> None:
        super().__init__(f"cup {cup} does not exist")
        self.cup = cup


@dataclass(frozen=True)
class Point:
    x: int
    where: Path


class Gadget:
    """Unpickles by calling a function that the parent must never call."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def double(number: int) -> int:
    return number * 2


def move(point: Point) -> Point:
    return Point(point.x + 1, point.where / "moved")


def pid(_: None) -> int:
    return os.getpid()


def sleep(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def wait_for(marker: Path) -> None:
    while not marker.exists():
        time.sleep(0.01)


def spin(_: None) -> None:
    while True:
        pass


def spawn_and_spin(marker: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as child:
        marker.write_text(f"{os.getpid()} {child.pid}")
        spin(None)


def note_and_spin(marker: Path) -> None:
    marker.write_text(str(os.getpid()))
    spin(None)


def kill_self(number: int) -> None:
    os.kill(os.getpid(), number)


def leave(code: int) -> None:
    os._exit(code)


def abort(_: None) -> None:
    os.abort()


def eat_memory(_: None) -> None:
    hoard = []
    while True:
        hoard.append(bytearray(8 << 20))
        time.sleep(0.002)


def ask_for_the_moon(size: int) -> int:
    return len(bytearray(size))


def large(size: int) -> bytes:
    return bytes(size)


def missing(cup: int) -> None:
    raise CupMissingError(cup)


def bug(_: None) -> None:
    raise ZeroDivisionError("a bug")


def gadget(_: None) -> Gadget:
    return Gadget()


def unpicklable(_: None) -> object:
    return (number for number in range(3))


def length(request: bytes) -> int:
    return len(request)


def ask_with_pid(_: None) -> int:
    return len(ask(os.getpid()))


def ask_twice(question: str) -> list[object]:
    answers: list[object] = []
    for suffix in ("a", "b"):
        try:
            answers.append(ask(question + suffix))
        except InvalidError as error:
            answers.append(f"refused: {error}")
    return answers


def count(steps: int) -> int:
    for step in range(steps):
        report(step)
    return steps


def environment(_: None) -> dict[str, str]:
    return dict(os.environ)


def everything_inherited(_: None) -> bytes:
    return Path("/proc/self/environ").read_bytes()


def connect(port: int) -> str:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError as error:
        return type(error).__name__
    return "connected"


def group_and_session(_: None) -> tuple[int, int]:
    return os.getpgid(0), os.getsid(0)


def threads_of_nursery(_: None) -> int:
    return len(list(Path(f"/proc/{os.getppid()}/task").iterdir()))


def interrupt(_: None) -> str:
    os.kill(os.getpid(), signal.SIGINT)
    return "alive"


def print_lines(count: int) -> int:
    for number in range(count):
        print(f"line {number} of {count}", flush=True)
    os.write(2, b"and an error\n")
    return count


def print_and_die(count: int) -> None:
    print_lines(count)
    os.kill(os.getpid(), signal.SIGKILL)


def print_and_exit(count: int) -> None:
    print_lines(count)
    os._exit(1)


def print_nothing_more(_: None) -> str:
    os.close(1)
    os.close(2)
    return "done"
