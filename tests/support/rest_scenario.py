"""Plays recorded REST scenarios against a served node and tells every difference."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from kamu_assets.odf.timestamp import Timestamp
from tests.support.served_node import ServedNode

RECORDED = Path(__file__).with_name("recorded_rest")
_VARIABLE = re.compile(r"\$\{([^}]+)\}")

Json = Any


class ScenarioPlayer:
    """Creates the datasets a scenario creates and compares the answers to its REST steps."""

    def __init__(self, served: ServedNode, scenario: str) -> None:
        self._served = served
        self._steps: list[Json] = json.loads((RECORDED / f"{scenario}.json").read_text())["steps"]
        self._variables: dict[str, str] = {}

    def differences(self, *, without: frozenset[str] = frozenset()) -> Iterator[str]:
        """Play everything but the steps named in `without`, and those where the reference is wrong."""
        for step in self._steps:
            if "clock" in step:
                self._served.clock.set(Timestamp.parse(step["clock"]))
            elif "graphql" in step["request"]:
                self._create(step)
            elif step["name"] not in without:
                answer = self._ask(step)
                if "defect" not in step:
                    yield from (f"{step['name']}: {found}" for found in self._compare(answer, step["expect"]))

    def _create(self, step: Json) -> None:
        manifest = step["request"].get("variables", {}).get("snapshot")
        if manifest is None:
            return
        entry = self._served.create(manifest, owner=step["as"])
        for name in step.get("capture", {}):
            self._variables[name] = str(entry.id)
        self._variables[f"{entry.account}.id"] = str(entry.owner)

    def _ask(self, step: Json) -> httpx.Response:
        request, as_ = step["request"], step["as"]
        path = _VARIABLE.sub(lambda found: self._variables[found[1]], request["path"])
        headers = request.get("headers", {})
        content = request["body"].encode() if "body" in request else None
        if as_.startswith("bearer:"):
            headers = {**headers, "authorization": f"Bearer {as_.removeprefix('bearer:')}"}
        caller = None if as_ == "anonymous" or as_.startswith("bearer:") else as_
        return self._served.request(
            request["method"], path, as_=caller, headers=headers, content=content, json=request.get("json")
        )

    def _compare(self, answer: httpx.Response, expect: Json) -> Iterator[str]:
        if answer.status_code != expect["status"]:
            yield f"status {answer.status_code} instead of {expect['status']}: {answer.text[:300]}"
            return
        for name, value in expect.get("headers", {}).items():
            if answer.headers.get(name) != value:
                yield f"header {name} is {answer.headers.get(name)!r} instead of {value!r}"
        if "$" in expect.get("ignore", []):
            return
        if "json" in expect:
            yield from self._compare_json(answer.json(), expect["json"])
        elif answer.text != expect["body"]:
            yield f"body {answer.text!r} instead of {expect['body']!r}"

    def _compare_json(self, got: Json, wanted: Json) -> Iterator[str]:
        text = _VARIABLE.sub(lambda found: self._variables.get(found[1], found[0]), json.dumps(wanted))
        # Texts are compared: 1 is not 1.0, and the order of keys counts where rows keep that of columns.
        if json.dumps(got) != json.dumps(json.loads(text)):
            yield f"{json.dumps(got)[:600]} instead of {text[:600]}"
