"""Headers that a source wants to be sent: for its own server only, never for one that it is redirected to."""

import base64
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from kamu_assets.coordinator.ingest.errors import BadUrlError
from kamu_assets.coordinator.ingest.fetch.templates import fill_templates
from kamu_assets.egress.http import parse_url
from kamu_assets.odf.source import FetchStepUrl

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")


def source_headers(step: FetchStepUrl, variables: Mapping[str, str]) -> dict[str, str]:
    """The headers of the manifest, templates filled. Messages name a header, not its value."""
    headers = {}
    for header in step.headers or ():
        value = fill_templates(header.value, variables).value
        if not _NAME.fullmatch(header.name) or not _VALUE.fullmatch(value):
            raise BadUrlError(f"the header {header.name!r} of the source is not one: name or value are not valid HTTP")
        headers[header.name.lower()] = value
    return headers


def split_user(url: str) -> tuple[str, dict[str, str]]:
    """The URL without user and password, and the header that says the same (RFC 7617)."""
    parsed = parse_url(url)
    if not parsed.userinfo:
        return url, {}
    user, _, password = parsed.userinfo.partition(b":")
    token = base64.b64encode(unquote_to_bytes(user) + b":" + unquote_to_bytes(password)).decode()
    return str(parsed.copy_with(username=None, password=None)), {"authorization": f"Basic {token}"}
