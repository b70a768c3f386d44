"""The JSON form of ODF documents."""

import json
from typing import Any

from kamu_assets.odf.typedef import OdfModel


def to_json(document: OdfModel) -> Any:
    return json.loads(document.model_dump_json(by_alias=True, exclude_none=True))
