"""Which addresses a manifest may make the node connect to."""

from ipaddress import ip_address

import pytest

from kamu_assets.egress.policy import BadEgressRuleError, EgressDeniedError, EgressPolicy

PUBLIC = ("8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::5")
CLOSED = {
    "127.0.0.1": "loopback",
    "127.1.2.3": "loopback",
    "0.0.0.0": "this host",  # noqa: S104 - an address to refuse
    "169.254.169.254": "metadata",
    "100.100.100.200": "CGNAT",
    "168.63.129.16": "metadata",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "192.168.1.1": "private",
    "192.0.0.192": "reserved",
    "198.18.0.1": "reserved",
    "224.0.0.1": "multicast",
    "255.255.255.255": "reserved",
    "::1": "loopback",
    "::": "this host",
    "::ffff:8.8.8.8": "IPv4-mapped",
    "::ffff:127.0.0.1": "IPv4-mapped",
    "::127.0.0.1": "not public",
    "64:ff9b::a9fe:a9fe": "NAT64",
    "64:ff9b:1::1": "NAT64",
    "2002:7f00:1::": "6to4",
    "2001:0:1::1": "protocols",
    "fd00:ec2::254": "private",
    "fe80::1": "link-local",
    "fec0::1": "not public",
    "ff02::1": "multicast",
}


def check(policy: EgressPolicy, address: str, *, host: str = "example.org", port: int = 443) -> None:
    policy.check(ip_address(address), host=host, port=port)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_reached(address: str) -> None:
    check(EgressPolicy(), address)


@pytest.mark.parametrize(("address", "what"), CLOSED.items())
def test_all_others_are_refused_by_address_and_setting(address: str, what: str) -> None:
    with pytest.raises(EgressDeniedError) as denied:
        check(EgressPolicy(), address)

    text = str(denied.value)
    assert f"example.org ({ip_address(address)})" in text
    assert what in text
    assert "egress.allow" in text


@pytest.mark.parametrize(
    ("rule", "host", "address", "port"),
    [
        ("db.internal", "DB.internal.", "10.0.0.1", 80),
        ("db.internal:8080", "db.internal", "10.0.0.1", 8080),
        ("10.0.0.0/8", "x", "10.9.9.9", 1),
        ("127.0.0.1", "localhost", "127.0.0.1", 1),
        ("127.0.0.1:81", "localhost", "127.0.0.1", 81),
        ("[::1]:81", "localhost", "::1", 81),
        ("::1", "localhost", "::1", 5),
        ("fd00::/8", "x", "fd00::5", 5),
    ],
)
def test_a_rule_opens_what_it_says(rule: str, host: str, address: str, port: int) -> None:
    check(EgressPolicy.allowing([rule]), address, host=host, port=port)


@pytest.mark.parametrize(
    ("rule", "host", "address", "port"),
    [
        ("db.internal", "other.internal", "10.0.0.1", 80),
        ("internal", "db.internal", "10.0.0.1", 80),
        ("db.internal:8080", "db.internal", "10.0.0.1", 80),
        ("10.0.0.0/8", "x", "172.16.0.1", 1),
        ("127.0.0.1:81", "localhost", "127.0.0.1", 82),
        ("127.0.0.0/8", "x", "::ffff:127.0.0.1", 1),
        ("64:ff9b::/96", "x", "64:ff9b::a9fe:a9fe", 1),
    ],
)
def test_a_rule_opens_nothing_else(rule: str, host: str, address: str, port: int) -> None:
    with pytest.raises(EgressDeniedError):
        check(EgressPolicy.allowing([rule]), address, host=host, port=port)


def test_a_translated_network_opens_its_public_part_only() -> None:
    check(EgressPolicy.allowing(["64:ff9b::/96"]), "64:ff9b::808:808")


@pytest.mark.parametrize(
    "rule", ["", "http://x", "10.0.0.1/8", "10.0.0.0/33", "a b", "x:99999", "*.x", "300.1.1.1", "[::1]", "x:"]
)
def test_what_is_no_rule_is_named(rule: str) -> None:
    with pytest.raises(BadEgressRuleError, match="host:port or network"):
        EgressPolicy.allowing([rule])
