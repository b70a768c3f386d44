"""Which addresses the node may connect to on behalf of a manifest: a pure decision (IANA special-purpose registries).

Public addresses may be reached. All others only if a rule of the setting `egress.allow` covers them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import ClassVar

from kamu_assets.errors import InvalidError

Address = IPv4Address | IPv6Address
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
_WITH_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]/]+)):(?P<port>\d{1,5})")

_CLOSED_V4 = {
    "127.0.0.0/8": "loopback",
    "0.0.0.0/8": "this host",
    "169.254.0.0/16": "link-local, where clouds keep metadata",
    "10.0.0.0/8": "private",
    "172.16.0.0/12": "private",
    "192.168.0.0/16": "private",
    "100.64.0.0/10": "shared by carriers (CGNAT)",
    "168.63.129.16/32": "a metadata address",
    "192.0.0.0/24": "reserved",
    "192.0.2.0/24": "reserved for documentation",
    "192.88.99.0/24": "a 6to4 relay",
    "198.18.0.0/15": "reserved for benchmarks",
    "198.51.100.0/24": "reserved for documentation",
    "203.0.113.0/24": "reserved for documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
}
# What is outside of 2000::/3 is not public either.
_CLOSED_V6 = {
    "::1/128": "loopback",
    "::/128": "this host",
    "::ffff:0:0/96": "an IPv4 address in disguise (IPv4-mapped)",
    "64:ff9b::/96": "an IPv4 address in disguise (NAT64)",
    "64:ff9b:1::/48": "an IPv4 address in disguise (NAT64)",
    "fe80::/10": "link-local",
    "fc00::/7": "private",
    "ff00::/8": "multicast",
    "2001::/23": "reserved for protocols",
    "2001:db8::/32": "reserved for documentation",
    "2002::/16": "an IPv4 address in disguise (6to4)",
    "3fff::/20": "reserved for documentation",
}
_CLOSED = tuple((ip_network(net), what) for net, what in (*_CLOSED_V4.items(), *_CLOSED_V6.items()))
_PUBLIC_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


class BadEgressRuleError(InvalidError):
    """A rule of `egress.allow` is none."""


class EgressDeniedError(InvalidError):
    """The address is not one that manifests may make the node connect to."""

    kind: ClassVar[str] = "egress-denied"

    def __init__(self, place: str, address: Address, what: str, *, port: int, tells_port: bool = False) -> None:
        found = f"{address} port {port}" if tells_port else str(address)
        named = place if place == found else f"{place} ({found})"
        super().__init__(
            f"the node does not connect to {named}: the address is {what};"
            " if it should, add the host or address to the setting egress.allow"
            f" (in node.yaml, or as KAMU_NODE__EGRESS__ALLOW={address}) and start the node again"
        )
        self.address = address
        self.what = what
        self.port = port


@dataclass(frozen=True, slots=True)
class _Rule:
    host: str | None
    network: IPv4Network | IPv6Network | None
    port: int | None

    def covers(self, host: str, address: Address, port: int) -> bool:
        if self.port is not None and self.port != port:
            return False
        if self.network is None:
            return self.host == _plain(host)
        return address in self.network


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Public addresses, and what rules allow beyond them."""

    rules: tuple[_Rule, ...] = ()

    @classmethod
    def allowing(cls, rules: Iterable[str]) -> "EgressPolicy":
        """Rules are hosts, addresses, both with a port if need be, and networks such as `10.1.0.0/16`."""
        return cls(tuple(_parse(rule.strip()) for rule in rules))

    def check(self, address: Address, *, host: str, port: int) -> None:
        """Raise unless the node may connect to this address, which `host` stands for."""
        for one in (address, *_disguised(address)):
            what = _closed(one)
            if what is not None and not any(rule.covers(host, one, port) for rule in self.rules):
                raise EgressDeniedError(host, address, what, port=port)


def _closed(address: Address) -> str | None:
    """What an address is if it is not public."""
    for network, what in _CLOSED:
        if address in network:
            return what
    return "not public" if address.version == 6 and address not in _PUBLIC_V6 else None  # noqa: PLR2004 - IPv6


def _disguised(address: Address) -> tuple[Address, ...]:
    """The address that a rule for a whole translated network must not open."""
    if address.version == 6 and address in _NAT64:  # noqa: PLR2004 - IPv6
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    embedded = (address.ipv4_mapped, address.sixtofour) if isinstance(address, IPv6Address) else ()
    return tuple(one for one in embedded if one is not None)


def _parse(text: str) -> _Rule:
    host, port = text, None
    if with_port := _WITH_PORT.fullmatch(text):
        host, port = with_port["v6"] or with_port["host"], int(with_port["port"])
    try:
        network = ip_network(host) if port is None else ip_network(ip_address(host))
    except ValueError:
        if not _HOST.fullmatch(host) or host.replace(".", "").isdigit() or (port or 0) > 65_535:  # noqa: PLR2004 - ports
            raise BadEgressRuleError(
                f"{text!r} is no host, address, host:port or network (like 10.1.0.0/16, all bits of the host zero)"
            ) from None
        return _Rule(_plain(host), None, port)
    return _Rule(None, network, port)


def _plain(host: str) -> str:
    return host.rstrip(".").lower()
