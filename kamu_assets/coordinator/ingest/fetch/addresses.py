"""Addresses of sources in messages and logs: without what may be secret in them."""

import re
from urllib.parse import unquote

_USER = re.compile(r"//[^/?#@]*(?:@[^/?#@]*)*@")
_QUERY = re.compile(r"\?[^#]*")


def public_url(shown: str) -> str:
    """A URL without the values of its query, and without the user and password it may name."""
    return _QUERY.sub("?…", _USER.sub("//…@", shown))


def name_of(shown: str) -> str:
    """How messages call what is at a URL: the last part of its path."""
    path = re.split(r"[?#]", public_url(shown))[0]
    return unquote(path.rstrip("/").rpartition("/")[2]) or public_url(shown)
