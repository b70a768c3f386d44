"""The description of the API as a page for people: no scripts, nothing from elsewhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

Json = dict[str, Any]

_HEAD: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>'
    ":root{{color-scheme:light dark}}body{{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}}"
    "code,pre{{background:#8883;padding:0 .2em}}pre{{padding:.6em;overflow-x:auto}}ul{{columns:2}}"
    "h2{{font-size:1.1em;margin:2em 0 .3em;border-top:1px solid #8886;padding-top:.8em}}p{{margin:.4em 0}}"
    "dl{{margin:.4em 0 .4em 1em}}dt{{margin-top:.3em}}dd{{margin-left:2em}}"
    "</style></head><body><h1>{title}</h1>"
)
_EXAMPLES: Final = """\
curl '{base}query?query=select%201%20as%20one'
curl '{base}query' --json '{{"query": "select 1 as one", "include": ["Proof"]}}'
curl '{base}ACCOUNT/DATASET/tail?limit=5'
curl '{base}ACCOUNT/DATASET/ingest' --data-binary @FILE.csv -H 'Content-Type: text/csv' -H 'Authorization: Bearer TOKEN'
"""
_PLACES: Final = {"query": "in the query string", "path": "in the path", "header": "a header"}
_ONLY_WITH_TOKEN: Final[Sequence[Json]] = [{"api_key": []}]


@dataclass(frozen=True)
class _Field:
    """A parameter, or a field of a body."""

    name: str
    schema: Json
    notes: Sequence[str]
    about: str


def reference_page(document: Json, *, base_url: str) -> str:
    """HTML of all operations with their parameters, and the fields of what is sent to them."""
    info, schemas = document["info"], document["components"]["schemas"]
    operations = [
        (method, path, each) for path, methods in document["paths"].items() for method, each in methods.items()
    ]
    links = [f'<li><a href="#{each["operationId"]}">{_name(method, path)}</a>' for method, path, each in operations]
    parts = [
        _HEAD.format(title=escape(info["title"])),
        f"<p>{escape(info['description'])}</p>",
        '<p>For programs: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>',
        f"<pre>{escape(_EXAMPLES.format(base=base_url))}</pre><ul>{''.join(links)}</ul>",
    ]
    for method, path, operation in operations:
        parts += _operation(method, path, operation, schemas)
    return "".join([*parts, "</body></html>"])


def _name(method: str, path: str) -> str:
    return f"<code>{method.upper()} {escape(path)}</code>"


def _operation(method: str, path: str, operation: Json, schemas: Json) -> Iterator[str]:
    yield f'<h2 id="{operation["operationId"]}">{_name(method, path)}</h2><p>{escape(operation["summary"])}.</p>'
    if operation["security"] == _ONLY_WITH_TOKEN:
        yield "<p>Needs the header <code>Authorization: Bearer</code> with a token.</p>"
    yield _list([_parameter(each) for each in operation.get("parameters", ())], schemas)
    bodies = operation.get("requestBody", {}).get("content", {})
    if bodies:
        yield f"<p>Body: {', '.join(f'<code>{escape(name)}</code>' for name in bodies)}.</p>"
    for content in bodies.values():
        yield _list(_fields(_resolved(content["schema"], schemas)), schemas)


def _parameter(parameter: Json) -> _Field:
    notes = [_PLACES[parameter["in"]], *(["required"] if parameter["required"] else [])]
    return _Field(parameter["name"], parameter["schema"], notes, parameter.get("description", ""))


def _fields(schema: Json) -> list[_Field]:
    required = schema.get("required", ())
    properties: dict[str, Json] = schema.get("properties", {})
    return [
        _Field(name, each, ["required"] if name in required else [], each.get("description", ""))
        for name, each in properties.items()
    ]


def _list(fields: Sequence[_Field], schemas: Json) -> str:
    return f"<dl>{''.join(_described(each, schemas) for each in fields)}</dl>" if fields else ""


def _described(field: _Field, schemas: Json) -> str:
    default = field.schema.get("default")
    notes = [*field.notes, *([f"default: {default}"] if default not in (None, []) else [])]
    words = ", ".join(f"<code>{escape(word)}</code>" for word in _words(field.schema, schemas))
    about = " ".join(part for part in (escape(field.about), words) if part)
    told = f" ({escape(', '.join(notes))})" if notes else ""
    return f"<dt><code>{escape(field.name)}</code>{told}</dt>" + (f"<dd>{about}</dd>" if about else "")


def _words(schema: Json, schemas: Json) -> Sequence[str]:
    """The words of an enumeration, the fields of an object; of one that may be absent, or of many."""
    known = _resolved(schema, schemas)
    inner = [*known.get("anyOf", ()), *([known["items"]] if "items" in known else [])]
    deeper = (_words(each, schemas) for each in inner)
    return list(known.get("enum") or known.get("properties") or next(filter(None, deeper), ()))


def _resolved(schema: Json, schemas: Json) -> Json:
    found: Json = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    return found
