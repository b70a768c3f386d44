"""The datasets of the group `node`."""

from __future__ import annotations


def root(name: str) -> str:
    """A root that takes pushes of NDJSON."""
    return f"""
kind: DatasetSnapshot
version: 1
content:
  name: {name}
  kind: Root
  metadata:
    - kind: AddPushSource
      sourceName: default
      read:
        kind: NdJson
        ddlSchema: ["event_time TIMESTAMP", "city STRING", "population BIGINT"]
      merge: {{kind: Append}}
    - kind: SetInfo
      description: Populations of cities, as they are counted
"""


def derivative(name: str, *, of: str) -> str:
    """What is computed from one root, record by record."""
    return f"""
kind: DatasetSnapshot
version: 1
content:
  name: {name}
  kind: Derivative
  metadata:
    - kind: SetTransform
      inputs:
        - datasetRef: kamu/{of}
          alias: counted
      transform:
        kind: Sql
        engine: datafusion
        query: select event_time, city, population * 2 as doubled from counted
    - kind: SetInfo
      description: The same populations, doubled
"""


def rows(first: int, count: int) -> str:
    """Records as NDJSON, numbered."""
    return "".join(
        f'{{"event_time": "2024-01-01T00:00:{number % 60:02d}Z", "city": "c{number}", "population": {number}}}\n'
        for number in range(first, first + count)
    )
