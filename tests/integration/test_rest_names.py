"""Names of columns that need care, in every format that REST has."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.served_node import ServedNode, serving

_SQL = """select 1 as "a""b", 2 as "back\\slash", 3 as "naïve 'x'", 4 as "line\nend", count(*) from (select 1)"""
_NAMES = ['a"b', "back\\slash", "naïve 'x'", "line\nend", "count(*)"]
_DATA = ["JsonAoS", "JsonSoA", "JsonAoA"]
_SCHEMA = ["ArrowJson", "OdfJson", "OdfYaml", "Parquet", "ParquetJson"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    with serving(tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.mark.parametrize(("data_format", "schema_format"), list(itertools.product(_DATA, _SCHEMA)))
def test_special_characters_are_told_as_they_are(  # KA-01
    served: ServedNode, data_format: str, schema_format: str
) -> None:
    asked = {"query": _SQL, "dataFormat": data_format, "schemaFormat": schema_format}
    output: Any = json.loads(served.request("POST", "/query", json=asked).content)["output"]

    values = dict(zip(_NAMES, [1, 2, 3, 4, 1], strict=True))
    rows = {
        "JsonAoS": [values],
        "JsonSoA": {name: [value] for name, value in values.items()},
        "JsonAoA": [list(values.values())],
    }
    assert output["data"] == rows[data_format]
    assert (output["dataFormat"], output["schemaFormat"]) == (data_format, schema_format)
    if isinstance(output["schema"], dict):
        assert [field["name"] for field in output["schema"]["fields"]] == _NAMES
    else:
        assert "naïve 'x'" in output["schema"]
