"""The cases of a vector file as test parameters."""

import json
from typing import Any

import pytest

from tests.support.reference import reference_folder


def cases(name: str) -> list[Any]:
    text = (reference_folder() / "odf" / "vectors" / f"{name}.json").read_text()
    return [pytest.param(case, id=case["id"]) for case in json.loads(text)["cases"]]
