"""What GraphQL steps of recorded scenarios read, asked over REST: the same rows and schemas, told in other words."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from kamu_assets.odf.identity import DatasetID
from tests.support.served_node import ServedNode

Json = Any

# REST has neither CSV nor lines of JSON: those rows are asked for as objects.
_FORMATS = {"JSON_SOA": "JsonSoA", "JSON_AOA": "JsonAoA"}
_SCHEMAS = {"ARROW_JSON": "ArrowJson", "ODF_JSON": "OdfJson", "PARQUET": "Parquet", "PARQUET_JSON": "ParquetJson"}
_LINES = ("ND_JSON", "JSON_LD")


@dataclass(frozen=True)
class Reading:
    """A step that asks for rows: with SQL, or for the newest of a dataset."""

    variables: Mapping[str, Json]
    expect: Json

    @classmethod
    def of(cls, step: Json, known: Mapping[str, str]) -> Reading | None:
        """Of a step whose whole question is in its variables."""
        variables = step["request"].get("variables", {})
        if not {"q", "d"} & set(variables) or step["expect"]["json"]["data"] is None:
            return None
        if "q" not in variables and "tail(" not in "".join(step["request"]["graphql"]):
            return None
        return cls({name: known.get(str(value)[2:-1], value) for name, value in variables.items()}, step["expect"])

    def differences(self, served: ServedNode, known: Mapping[str, str]) -> Iterator[str]:
        """Between what a node answers and what kamu did."""
        answer = self._ask(served, known)
        told = self._told()
        if told is None or told["__typename"] != "DataQueryResultSuccess":
            yield from self._unless_refused(answer, told)
        elif answer.status_code != httpx.codes.OK:
            yield f"status {answer.status_code}: {answer.text[:300]}"
        else:
            output = answer.json()
            in_any_order = "$..content" in self.expect.get("unordered", ())
            yield from _compare(told, output.get("output", output), in_any_order=in_any_order)
            yield from _compare_datasets(told, output.get("input"), known)

    def _ask(self, served: ServedNode, known: Mapping[str, str]) -> httpx.Response:
        asked = {
            "dataFormat": _FORMATS.get(self.variables.get("f", "JSON"), "JsonAoS"),
            "schemaFormat": _SCHEMAS[self.variables.get("s", "PARQUET")],
            **{name: self.variables[name] for name in ("skip", "limit") if name in self.variables},
        }
        if "q" not in self.variables:
            entry = served.node.datasets.resolve(
                served.node.auth.admin_caller(), DatasetID.parse(str(self.variables["d"]))
            )
            return served.request("GET", f"/{entry.alias}/tail?{urlencode(asked)}", as_=None)
        sql = self.variables["q"]
        for name, value in known.items():
            sql = sql.replace(f"${{{name}}}", value)
        return served.request("POST", "/query", as_=None, json={"query": sql, "include": ["Input"], **asked})

    def _told(self) -> Json:
        data = self.expect["json"]["data"]
        if "q" in self.variables:
            return data["data"]["query"]
        return (data["datasets"]["byId"]["data"] or {}).get("tail")

    def _unless_refused(self, answer: httpx.Response, told: Json) -> Iterator[str]:
        if answer.status_code != httpx.codes.BAD_REQUEST:
            yield f"status {answer.status_code} instead of 400: {answer.text[:300]}"
        elif told is not None and "$..errorMessage" not in self.expect.get("ignore", ()):
            message = answer.json()["message"]
            if message != told["errorMessage"]:
                yield f"{message!r} instead of {told['errorMessage']!r}"


def _compare(told: Json, output: Json, *, in_any_order: bool) -> Iterator[str]:
    wanted, got = _rows(told["data"]), output["data"]
    if told["data"]["format"] == "CSV":
        got = [{name: _cell(value) for name, value in row.items()} for row in got]
    if in_any_order:
        wanted, got = sorted(wanted, key=_text), sorted(got, key=_text)
    if _text(got) != _text(wanted):
        yield f"rows {_text(got)[:600]} instead of {_text(wanted)[:600]}"
    schema = told["schema"]["content"]
    wanted_schema = schema if told["schema"]["format"] == "PARQUET" else json.loads(schema)
    if output["schema"] != wanted_schema:
        yield f"schema {output['schema']} instead of {wanted_schema}"


def _compare_datasets(told: Json, said: Json, known: Mapping[str, str]) -> Iterator[str]:
    """A tail does not tell; what `to_table` reads kamu does not tell."""
    if said is None or not told["datasets"]:
        return
    wanted = [
        {name: known.get(value[2:-1], value) if value.startswith("${") else value for name, value in each.items()}
        for each in told["datasets"]
    ]
    if sorted(map(_text, said["datasets"])) != sorted(map(_text, wanted)):
        yield f"datasets {said['datasets']} instead of {wanted}"


def _rows(data: Json) -> Json:
    content = data["content"]
    if data["format"] == "CSV":
        return list(csv.DictReader(io.StringIO(content)))
    if data["format"] in _LINES:
        return [json.loads(line) for line in content.splitlines()]
    return json.loads(content)


def _cell(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _text(value: Json) -> str:
    """1 is not 1.0; `/query` sorts the names of columns."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
