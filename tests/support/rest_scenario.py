"""Plays recorded REST scenarios against a served node and tells every difference."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from kamu_assets.odf.timestamp import Timestamp
from tests.support.rest_reading import Reading
from tests.support.served_node import ServedNode

RECORDED = Path(__file__).with_name("recorded_rest")
_VARIABLE = re.compile(r"\$\{([^}]+)\}")
_HEAD = re.compile(r'byRef\(datasetRef: "([^"]+)"\) \{ head ')
_PATH = re.compile(r"\.(\w+)|\[(\d+)\]")

Json = Any


class ScenarioPlayer:
    """Creates the datasets a scenario creates and compares the answers to its REST steps."""

    def __init__(self, served: ServedNode, scenario: str) -> None:
        self._served = served
        recorded: Json = json.loads((RECORDED / f"{scenario}.json").read_text())
        self._steps: list[Json] = recorded["steps"]
        for account in recorded["server"]["accounts"]:
            served.account(account["accountName"], is_admin="Admin" in account.get("properties", ()))
        self._variables: dict[str, str] = {}

    def differences(self, *, without: frozenset[str] = frozenset()) -> Iterator[str]:
        """Play everything but the steps named in `without`, and those where the reference is wrong."""
        for step in self._steps:
            if "clock" in step:
                self._served.clock.set(Timestamp.parse(step["clock"]))
            elif "graphql" in step["request"]:
                self._create(step)
                if step["name"] not in without and "defect" not in step:
                    yield from self._read(step)
            elif step["name"] not in without:
                answer = self._ask(step)
                if answer.is_success:
                    self._capture(step, answer)
                if "defect" not in step:
                    yield from (f"{step['name']}: {found}" for found in self._compare(answer, step["expect"]))

    def _read(self, step: Json) -> Iterator[str]:
        """What a step asks of rows; of a head, it is taken from the node."""
        asked = _HEAD.search("".join(step["request"]["graphql"]))
        if asked is not None:
            self._variables.update(dict.fromkeys(step.get("capture", {}), str(self._served.head(asked[1]))))
        reading = Reading.of(step, self._variables)
        if reading is not None:
            yield from (f"{step['name']}: {found}" for found in reading.differences(self._served, self._variables))

    def _create(self, step: Json) -> None:
        manifest = step["request"].get("variables", {}).get("snapshot")
        if manifest is None:
            return
        entry = self._served.create(manifest, owner=step["as"])
        for name in step.get("capture", {}):
            self._variables[name] = str(entry.id)
        self._variables[f"{entry.account}.id"] = str(entry.owner)

    def _capture(self, step: Json, answer: httpx.Response) -> None:
        """What differs from node to node is taken at first sight, and compared wherever it comes again."""
        for name, path in step.get("capture", {}).items():
            value = answer.json()
            for key, index in _PATH.findall(path):
                value = value[key or int(index)]
            self._variables[name] = value

    def _ask(self, step: Json) -> httpx.Response:
        request, as_ = step["request"], step["as"]
        path = self._filled(request["path"])
        headers = request.get("headers", {})
        content = request["body"].encode() if "body" in request else None
        if "json" in request:
            # As text: what is captured stands in bodies too.
            content = self._filled(json.dumps(request["json"])).encode()
            headers = {"content-type": "application/json", **headers}
        if as_.startswith("bearer:"):
            headers = {**headers, "authorization": f"Bearer {as_.removeprefix('bearer:')}"}
        caller = None if as_ == "anonymous" or as_.startswith("bearer:") else as_
        if caller is not None:
            self._variables[f"{caller}.id"] = str(self._served.account(caller).id)
        return self._served.request(request["method"], path, as_=caller, headers=headers, content=content)

    def _filled(self, text: str) -> str:
        return _VARIABLE.sub(lambda found: self._variables[found[1]], text)

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
            yield from self._compare_json(answer.text, expect["json"])
        elif answer.text != expect["body"]:
            yield f"body {answer.text!r} instead of {expect['body']!r}"

    def _compare_json(self, got: str, wanted: Json) -> Iterator[str]:
        text = _VARIABLE.sub(lambda found: self._variables.get(found[1], found[0]), json.dumps(wanted))
        # Byte by byte: 1 is not 1.0, and the order of members counts.
        compact = json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
        if got != compact:
            yield f"{got[:900]} instead of {compact[:900]}"
