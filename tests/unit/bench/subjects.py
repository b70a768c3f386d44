"""Subjects for tests of the harness; they travel to child processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.subject import expect

BURN = "import time\nwhile time.process_time() < 0.3: pass"


def works(folder: Path) -> int:
    (folder / "result").write_text("ten")
    return 10


def finds_in_its_environment(folder: Path, *, name: str) -> str:
    return os.environ.get(name, "nothing")


def gives_ten(result: object) -> None:
    expect("rows", found=result, wanted=10)


def gives_eleven(result: object) -> None:
    expect("rows", found=result, wanted=11)


def is_told_ten(result: object) -> None:
    expect("variable", found=result, wanted="ten")


def breaks(folder: Path) -> None:
    raise ZeroDivisionError


def ends(folder: Path) -> None:
    sys.exit(3)


def burns_in_a_child(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", BURN], check=True)


def burns_in_a_living_child(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"go\n")
    child.stdin.flush()
    child.stdout.read(1)


@contextmanager
def a_waiting_child(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    code = f"import sys\nsys.stdin.readline()\n{BURN}\nprint('x', flush=True)\nsys.stdin.readline()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        yield child
        child.kill()


@contextmanager
def slowly_prepared(folder: Path) -> Iterator[str]:
    burns_in_a_child(folder)
    yield "prepared"


def is_prepared(place: object) -> int:
    return 10 if place == "prepared" else 0


def is_loaded(folder: Path, *, module: str) -> int:
    return 10 if module in sys.modules else 0


def takes_memory(folder: Path) -> int:
    block = bytearray(200_000_000)
    block[::4096] = b"x" * len(block[::4096])
    time.sleep(0.2)
    return 10


def anything(result: object) -> None:
    del result
