"""Secrets in whatever is logged: found by where they stand, or because they are known."""

import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

HIDDEN = "•••"

_FIELD = re.compile(r"token|passw|secret|authorization|private_?key|api_?key", re.IGNORECASE)
# All end soon, whatever they are given: much of it comes from others.
_PLACES = (
    (re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), HIDDEN),
    # Access tokens of nodes, of this one and others.
    (re.compile(r"\bka_[0-9A-Za-z]{8,}"), f"ka_{HIDDEN}"),
    # Those that others make so that they can be recognized: S3's, GitHub's, GitLab's, Slack's, JSON web tokens.
    (
        re.compile(
            r"\b(?:A(?:KI|SI)A[0-9A-Z]{16}|gh[a-z]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}"
            r"|whsec_[\w+/=-]{8,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*)"
        ),
        HIDDEN,
    ),
    (re.compile(r"\b((?i:bearer)|Basic) [\w.~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    # All of a header, whatever its scheme is.
    (
        re.compile(
            r"\b((?:proxy-)?authorization|(?:set-)?cookie|x-api-key)(\\?[\"']?\s*+[:=]\s*+)"
            r"(?:\"[^\"\r\n]*\"|'[^'\r\n]*'|[^\r\n]+)",
            re.IGNORECASE,
        ),
        rf"\1\2{HIDDEN}",
    ),
    # The password of a URL, which may hold all that it should not, or all that stands there instead.
    (re.compile(r"(://[^\s:/@]{0,200}:)\S{1,1000}(?=@)"), rf"\1{HIDDEN}"),
    (re.compile(r"(://)[^\s:/@?#\"'<>]{1,1000}(?=@)"), rf"\1{HIDDEN}"),
    (
        re.compile(
            r"([?&;][\w.-]{0,64}(?:token|passw|secret|key|signature|credential)[\w.-]{0,64}=)[^\s&;#\"']+",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    # Assignments, and members of JSON.
    (
        re.compile(
            r"((?:passw(?:or)?d|passphrase|secret|token|api_?key|access_?key(?:_?id)?|private_?key)[\w-]{0,64})"
            r"(\s*=\s*|[\"']\s*:\s*)(\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^\s,;&)}\]\"']+)",
            re.IGNORECASE,
        ),
        rf"\1\2{HIDDEN}",
    ),
)
# Shorter ones are words, or numbers, of which texts are full.
_KNOWN_LENGTH = 6


class SecretHider:
    """Writes `•••` where a secret stands."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = sorted({form for each in known for form in _forms(each)}, key=len, reverse=True)

    def knowing(self, more: Iterable[str]) -> "SecretHider":
        """One that knows more secrets."""
        return SecretHider([*self._known, *more])

    def hide(self, text: str) -> str:
        """The text without secrets."""
        for each in self._known:
            text = text.replace(each, HIDDEN)
        for pattern, instead in _PLACES:
            text = pattern.sub(instead, text)
        return text

    def hide_field(self, name: str, value: object) -> object:
        """A field of an event without secrets, however deep they are in it."""
        match value:
            case None | bool() | int() | float():
                return value
            case _ if _FIELD.search(name):
                return HIDDEN
            case str():
                return self.hide(value)
            case Mapping():
                return {key: self.hide_field(str(key), each) for key, each in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self.hide_field(name, each) for each in value]
            case _:
                # What it looks like is decided now: by the renderer nobody would look.
                return self.hide(repr(value) if isinstance(value, bytes) else str(value))


class _OfThisProcess:
    hider = SecretHider()


def never_tell(secrets: Iterable[str]) -> None:
    """From now on `without_secrets` knows these."""
    _OfThisProcess.hider = SecretHider(secrets)


def without_secrets(text: str) -> str:
    """The text without secrets of the node, for what is written where others read it."""
    return _OfThisProcess.hider.hide(text)


def _forms(secret: str) -> Iterator[str]:
    """A secret as it may be written in URLs, in JSON, in Python; of several lines, each by itself, too."""
    for each in (secret, *secret.splitlines()):
        if len(each) >= _KNOWN_LENGTH:
            yield from (each, quote(each, safe=""), quote(each), quote_plus(each))
            yield from (json.dumps(each)[1:-1], json.dumps(each, ensure_ascii=False)[1:-1], repr(each)[1:-1])


def is_secret_name(name: str) -> bool:
    """Whether what is called so, a header or a variable, is nobody's business."""
    return (
        _FIELD.search(name) is not None
        or re.search(r"cookie|key|signature|credential", name, re.IGNORECASE) is not None
    )


def secrets_in_url(url: str) -> Iterator[str]:
    """Password or user of a URL and secret parameters, as they are written and as they are meant."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        given = [value for name, value in parse_qsl(parts.query) if is_secret_name(name)]
        for text in (parts.password or parts.username or "", *given):
            yield from (text, unquote(text))
