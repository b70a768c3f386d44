"""The description of the API as a page for people: no scripts, nothing from elsewhere."""

from collections.abc import Iterator
from html import escape
from typing import Any

Json = dict[str, Any]

_HEAD = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    "<style>body{{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}}"
    "code{{background:#eee;padding:0 .2em}}dt{{margin-top:.5em}}</style></head><body><h1>{title}</h1>"
)


def reference_page(document: Json) -> str:
    """HTML of all operations with their parameters."""
    info = document["info"]
    parts = [_HEAD.format(title=escape(info["title"]))]
    parts.append(f"<p>{escape(info['description'])}</p>")
    parts.append('<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>')
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts += _operation(path, method, operation)
    return "".join([*parts, "</body></html>"])


def _operation(path: str, method: str, operation: Json) -> Iterator[str]:
    yield f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}.</p>"
    parameters = operation.get("parameters", [])
    if parameters:
        yield f"<dl>{''.join(map(_parameter, parameters))}</dl>"
    body = operation.get("requestBody")
    if body is not None:
        types = ", ".join(f"<code>{escape(name)}</code>" for name in body["content"])
        yield f"<p>Body: {types}.</p>"


def _parameter(parameter: Json) -> str:
    words = ", ".join(f"<code>{escape(word)}</code>" for word in parameter["schema"].get("enum", []))
    about = " ".join(part for part in (escape(parameter.get("description", "")), words) if part)
    place = f"{parameter['in']}, required" if parameter["required"] else parameter["in"]
    return f"<dt><code>{escape(parameter['name'])}</code> ({place})</dt><dd>{about}</dd>"
