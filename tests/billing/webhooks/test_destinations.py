"""Where webhooks may go: each spelling of what is inside, and of what is no URL, is refused."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import InvalidValue
from billing.webhooks.destinations import check_address, check_addresses, check_url, networks_from_text

OWN = networks_from_text("10.1.0.0/16, ::1/128")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hooks/leadger?key=1",
        "https://EXAMPLE.com:443/",
        "https://hooks.example.com:8443/x",
        "https://93.184.216.34/x",
        "https://[2606:4700:4700::1111]/x",
        "https://xn--bcher-kva.example/",
        "https://1a.example/",
    ],
)
def test_public_urls_by_https_are_taken_as_they_are(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://example.com", "must begin with https://"),
        ("ftp://example.com", "must begin with https://"),
        ("file:///etc/passwd", "must begin with https://"),
        ("example.com", "must begin with https://"),
        ("https://", "must name a host"),
        ("https:///x", "must name a host"),
        ("https://user:secret@example.com", "must name no user"),
        ("https://example.com@127.0.0.1", "must name no user"),
        ("https://example.com#x", "must have no fragment"),
        ("https://example.com:22", "must be on the standard port"),
        ("https://example.com:80", "must be on the standard port"),
        ("https://example.com:0", "must be on the standard port"),
        ("https://example.com:65536", "must be a URL"),
        ("https://example.com:x", "must be a URL"),
        ("https://example.com/ x", "must be a URL"),
        ("https://example.com\\@127.0.0.1", "must be a URL"),
        ("https://example.com\n.internal", "must be a URL"),
        ("https://bücher.example", "must be a URL"),
        ("https://１２７.0.0.1", "must be a URL"),
        ("https://[::1", "must be a URL"),
        ("https://[v1.a]/", "nothing but an IPv6 address in brackets"),
        ("https://[vf.example.com]/", "nothing but an IPv6 address in brackets"),
        ("https://127.0.0.1%2f.example.com", "must spell its host as it is"),
        ("https://[2606:4700::1%25eth0]", "must spell its host as it is"),
        ("https://example.com./", "must name a host, in ASCII"),
        ("https://-x.example", "must name a host, in ASCII"),
        ("https://" + "a" * 64 + ".example", "must name a host, in ASCII"),
        ("https://example.com/" + "x" * 2000, "must be a URL of at most 2000"),
        ("https://localhost", "no public name"),
        ("https://api.localhost:8443", "no public name"),
        ("https://metadata.google.internal", "no public name"),
        ("https://127.1", "four numbers"),
        ("https://2130706433", "four numbers"),
        ("https://0x7f.0.0.1", "four numbers"),
        ("https://0x7f000001", "four numbers"),
        ("https://017700000001", "four numbers"),
        ("https://0177.0.0.1", "four numbers"),
        ("https://127.0.0.1.1", "four numbers"),
        ("https://1.2.3.256", "four numbers"),
        ("https://127.0.0.1:8443", "no public address"),
        ("https://[::1]:8443", "no public address"),
        ("https://[::ffff:127.0.0.1]", "no public address"),
    ],
)
def test_other_urls_are_refused(url: str, why: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        check_url(url)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",
        "127.0.0.1",
        "127.255.255.255",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:93.184.216.34",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:a00:1::",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    with pytest.raises(InvalidValue):
        check_address(ip_address(address))


@given(st.ip_addresses())
def test_what_is_taken_is_global_to_python_too(address: object) -> None:
    try:
        check_address(address)  # type: ignore[arg-type] # a strategy of both kinds
    except InvalidValue:
        return
    assert ip_address(str(address)).is_global


def test_one_inside_address_spoils_a_name() -> None:
    assert check_addresses(["93.184.216.34", "2606:4700:4700::1111"]) == [
        ip_address("93.184.216.34"),
        ip_address("2606:4700:4700::1111"),
    ]
    for addresses in (["93.184.216.34", "10.0.0.1"], ["::1", "93.184.216.34"], []):
        with pytest.raises(InvalidValue):
            check_addresses(addresses)


def test_own_networks_are_taken_by_http_too_and_nothing_else_is() -> None:
    for url in ("http://10.1.2.3", "http://[::1]:9000/x", "https://10.1.2.3", "http://localhost:9000"):
        assert check_url(url, OWN) == url
    for url in ("http://10.2.0.1", "https://10.2.0.1", "http://93.184.216.34", "http://[::ffff:10.1.2.3]"):
        with pytest.raises(InvalidValue):
            check_url(url, OWN)
    assert check_addresses(["10.1.0.1"], OWN, own_only=True)
    with pytest.raises(InvalidValue, match="by http"):
        check_addresses(["93.184.216.34"], OWN, own_only=True)
    with pytest.raises(InvalidValue, match="networks like"):
        networks_from_text("10.0.0.1/8")
