"""Test vectors: one module per kind, found by the `kind` a vector file names."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.conformance.cases import Case, Evidence, broken

KINDS = frozenset(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def vector_cases(folder: Path) -> Iterator[Case]:
    """Every case of every vector file in `folder`."""
    for path in sorted(folder.glob("*.json")):
        yield from file_cases(path)


def file_cases(path: Path) -> Iterator[Case]:
    try:
        content = json.loads(path.read_text())
        kind, cases = content["kind"], content["cases"]
    except (ValueError, LookupError, TypeError) as error:
        yield broken(Evidence.VECTOR, path.name, f"not a vector file: {error!r}")
        return
    if kind not in KINDS:
        yield from (broken(Evidence.VECTOR, f"{kind}/{case.get('id')}", f"unknown kind `{kind}`") for case in cases)
        return
    for case in cases:
        yield Case(Evidence.VECTOR, _subject(kind, case), partial(_check, kind, case))


def _subject(kind: str, case: dict[str, Any]) -> str:
    strategy = case.get("strategy") or case.get("merge")
    variant = [strategy["kind"]] if isinstance(strategy, dict) else []
    return "/".join([kind, *variant, str(case.get("id"))])


def _check(kind: str, case: dict[str, Any]) -> None:
    # Imported here: a kind whose code is broken fails its own cases and no others.
    check: Callable[[dict[str, Any]], None] = import_module(f"{__name__}.{kind}").check
    check(case)
