"""Where one may subscribe (trial WH-01)."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from kamu_assets.egress.policy import EgressPolicy
from kamu_assets.webhooks.errors import InvalidTargetUrlError
from kamu_assets.webhooks.targets import MAX_URL, Targets

PUBLIC = Targets(EgressPolicy())


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names resolve to; others are known to nobody."""
    known = {
        "hooks.example.org": ["93.184.216.34"],
        "localhost": ["127.0.0.1"],
        "inner.example.org": ["10.1.2.3"],
        "both.example.org": ["93.184.216.34", "127.0.0.1"],
    }

    def resolved(host: str, port: int, **_: Any) -> list[Any]:
        literal = host.replace(".", "").isdigit() or ":" in host
        if host not in known and not literal:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in known.get(host, [host.strip("[]")])
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    return known


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org/kamu",
        "https://hooks.example.org:8443/kamu?token=x#part",
        "https://hooks.example.org",
        "https://93.184.216.34/",
        "https://nobody.example.org/",
        "https://bücher.example.org/",
    ],
)
def test_public_addresses_and_unknown_names_are_accepted(url: str) -> None:
    assert PUBLIC.check(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://both.example.org/",
        "ftp://hooks.example.org/",
        "file://hooks.example.org/etc/passwd",
    ],
)
def test_other_schemes_and_loopback_are_refused_in_the_words_of_the_contract(url: str) -> None:
    with pytest.raises(InvalidTargetUrlError) as refused:
        PUBLIC.check(url)

    assert str(refused.value) == (
        f"Webhook target should use https:// and should not point at a loopback address: {url}"
    )


# WH-01
@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "10.0.0.5",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - refused
        "inner.example.org",
        "[::1]",
        "[::ffff:10.0.0.5]",
        "[::ffff:169.254.169.254]",
        "[fe80::1]",
        "[fd00::1]",
        "[64:ff9b::a00:5]",
    ],
)
@pytest.mark.parametrize("port", ["", ":443", ":5432", ":1"])
def test_addresses_inside_the_network_are_refused_whatever_the_port(host: str, port: str) -> None:
    url = f"https://{host}{port}/"

    with pytest.raises(InvalidTargetUrlError) as refused:
        PUBLIC.check(url)

    assert str(refused.value) in {
        f"Webhook target should not point at an address that is not public: {url}",
        f"Webhook target should use https:// and should not point at a loopback address: {url}",
    }


def test_what_the_operator_allows_is_accepted() -> None:
    targets = Targets(EgressPolicy.allowing(["10.1.0.0/16", "127.0.0.1:8443"]))

    assert targets.check("https://inner.example.org/")
    assert targets.check("https://localhost:8443/")
    with pytest.raises(InvalidTargetUrlError):
        targets.check("https://localhost:8444/")


def test_http_is_accepted_where_the_operator_says_so() -> None:
    assert Targets(EgressPolicy(), allow_http=True).check("http://hooks.example.org/")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "not a URL"),
        ("hooks.example.org", "not a URL"),
        ("https://", "not a URL"),
        ("https:///x", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://hooks.example.org:99999/", "not a URL"),
        ("https://hooks.example.org/a b", "not a URL"),
        ("https://hooks.example.org/\r\nX-Evil: 1", "not a URL"),
        ("https://hooks.example.org/\x00", "not a URL"),
        ("https://user:pass@hooks.example.org/", "user name or password"),
        ("https://hooks.example.org/" + "x" * MAX_URL, "at most 2,048 characters"),
    ],
)
def test_other_texts_are_refused(url: str, said: str) -> None:
    with pytest.raises(InvalidTargetUrlError, match=said) as refused:
        PUBLIC.check(url)

    assert "pass@" not in str(refused.value)
