"""The reference of all settings, as Markdown: made of the model, so that it tells what holds."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from kamu_assets.setting_origins import SettingRow

_HEAD = """# Settings of a node

Made by `kamu-node config docs`.

A setting is said in `node.yaml` in the node's home, or in the environment, which wins. `http.port` is there

```yaml
http:
  port: 8081
```

and here `KAMU_NODE__HTTP__PORT=8081`; lists and maps are JSON in the environment.
`kamu-node config set http.port 8081` writes the file and keeps what else is in it.
A node reads its settings when it starts: what is wrong then is told by its key, and it does not start.
"""


def reference_page(rows: Sequence[SettingRow]) -> str:
    """Every key with its default, what it may be, its variable and its meaning."""
    return "\n".join([_HEAD, *_sections(rows)])


def _sections(rows: Sequence[SettingRow]) -> Iterator[str]:
    for section, members in groupby(rows, key=lambda row: row.key.partition(".")[0]):
        yield f"## `{section}`\n"
        for row in members:
            yield from _entry(row)


def _entry(row: SettingRow) -> Iterator[str]:
    default = "none" if row.default == "null" else f"`{row.default}`"
    yield f"### `{row.key}`\n"
    meaning = row.meaning.replace("<", "\\<")
    yield f"{meaning}\n"
    yield f"- may be: {row.allowed}"
    yield f"- default: {default}"
    yield f"- in the environment: `{row.variable}`\n"
