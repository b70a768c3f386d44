"""One run of one subject in a process of its own: `python -m tests.bench.child FOLDER`, the pickled subject on stdin.

Speaks JSON lines: `{"ready": ...}` before the clock starts, and what the run took when its result is proven right.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pickle
import resource
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.bench.subject import Subject, WrongResultError
from tests.support.process_tree import all_processes, descendants


def main(folder: Path) -> None:
    with _own_stdout() as say:
        say(_answer(folder, say))


def _answer(folder: Path, say: Any) -> dict[str, Any]:
    """Whatever happens is told."""
    try:
        subject: Subject = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our own parent
        found, missing = _versions(subject.needs)
        if missing:
            return {"missing": f"not installed: {', '.join(missing)}"}
        for module in subject.imports:
            importlib.import_module(module)
        return {"took": _measured(subject, folder, say), "versions": found}
    except WrongResultError as error:
        return {"failed": f"wrong result: {error}"}
    except Exception:  # noqa: BLE001 - peers fail in their own ways
        return {"failed": traceback.format_exc()}


def _measured(subject: Subject, folder: Path, say: Any) -> dict[str, float]:
    with _prepared(subject, folder) as place:
        gc.collect()
        say({"ready": True})
        # Looking at other processes takes time of this one: it is done outside of what is measured.
        cpu = -_cpu_of_descendants() - _own_cpu()
        began = time.perf_counter()
        result = subject.run(place)
        wall = time.perf_counter() - began
        cpu += _own_cpu() + _cpu_of_descendants()
        say({"done": True})
        subject.check(result)
    return {"wall_s": wall, "cpu_s": cpu}


@contextmanager
def _prepared(subject: Subject, folder: Path) -> Iterator[Any]:
    if subject.prepare is None:
        yield folder
        return
    with subject.prepare(folder) as place:
        yield place


def _own_cpu() -> float:
    """Of this process and of children that ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _cpu_of_descendants() -> float:
    """Of all that live: workers are children of children."""
    return sum(stat.cpu_seconds for stat in descendants(os.getpid(), all_processes()))


def _versions(needs: tuple[str, ...]) -> tuple[Mapping[str, str], list[str]]:
    found, missing = {}, []
    for name in needs:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            missing.append(name)
    return found, missing


@contextmanager
def _own_stdout() -> Iterator[Any]:
    """What libraries print goes to stderr; only this process speaks to the parent."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as line:
        os.dup2(2, 1)
        yield lambda told: print(json.dumps(told), file=line, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
