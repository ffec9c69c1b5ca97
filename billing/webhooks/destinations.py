"""Where webhooks may go: public addresses by https, and the networks that whoever runs Leadger has named.

A URL is checked when somebody enters it, its addresses each time before a connection is made, and the connection is
made to a checked address. So neither a spelling nor a name, nor a name that changes its mind, leads to what is inside.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from billing.errors import InvalidValue

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST_URL = 2000
_STANDARD_PORTS = {"https": 443, "http": 80}
_INSIDE = re.compile(r"(.*\.)?(localhost|local|internal)")
_URL = re.compile(r"[\x21-\x7e]+")
_IN_BRACKETS = re.compile(r"\[[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\](:[0-9]*)?")
_NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# What ends so is an IPv4 address to a resolver, however short it is and in whatever base: 127.1, 0x7f.1, 2130706433.
_ENDS_AS_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")

_NOT_PUBLIC_V4 = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by a provider; metadata of Alibaba
        "127.0.0.0/8",
        "168.63.129.16/32",  # the platform of Azure, on a public address
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocols; metadata of Oracle
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)
_PUBLIC_V6 = IPv6Network("2000::/3")
"""Outside lie loopback, link-local, private and multicast, IPv4 in IPv6, and NAT64."""
_NOT_PUBLIC_V6 = tuple(
    ip_network(text)
    for text in (
        "2001::/23",  # protocols; Teredo, which holds an IPv4 address
        "2001:db8::/32",
        "2002::/16",  # 6to4, which holds an IPv4 address
        "3fff::/20",
    )
)


def networks_from_text(text: str) -> tuple[Network, ...]:
    """Networks, separated by commas: "10.0.0.0/8, fd00::/8"; raises InvalidValue."""
    try:
        return tuple(ip_network(each.strip()) for each in text.split(",") if each.strip())
    except ValueError as error:
        raise InvalidValue(f"must be networks like 10.0.0.0/8, separated by commas: {error}") from None


EVERYWHERE = networks_from_text("0.0.0.0/0, ::/0")
"""For a URL that whoever runs Leadger names in the settings."""


def check_url(url: str, own: Sequence[Network] = ()) -> str:
    """A URL as it was entered; raises InvalidValue where a webhook never may go. `own` are networks that it may.

    By http it goes to own networks only.
    """
    if len(url) > LONGEST_URL or not _URL.fullmatch(url) or "\\" in url:
        raise InvalidValue(
            f"must be a URL of at most {LONGEST_URL} characters in ASCII, like https://example.com/leadger"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidValue("must be a URL like https://example.com/leadger") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and own):
        raise InvalidValue("must begin with https://")
    if "@" in parts.netloc:
        raise InvalidValue("must name no user and no password; the signature says who sends")
    if "#" in url:
        raise InvalidValue("must have no fragment")
    if port is not None and port < 1024 and port != _STANDARD_PORTS[parts.scheme]:
        raise InvalidValue("must be on the standard port, or on one above 1023")
    if "%" in parts.netloc:
        raise InvalidValue("must spell its host as it is, without %")
    if "[" in parts.netloc and not _IN_BRACKETS.fullmatch(parts.netloc):
        raise InvalidValue("must have nothing but an IPv6 address in brackets, like [2606:4700:4700::1111]")
    literal = _literal(parts.hostname or "")
    if literal is not None:
        check_address(literal, own, own_only=parts.scheme == "http")
    elif not own and _INSIDE.fullmatch(parts.hostname or ""):
        raise InvalidValue(f"leads to {parts.hostname}, which is no public name")
    return url


def check_addresses(texts: Iterable[str], own: Sequence[Network] = (), *, own_only: bool = False) -> list[Address]:
    """The addresses of a host, in their order; raises InvalidValue if there is none, or one where no webhook may go.

    One is enough, because a name that is both outside and inside is no accident. `own_only` is for http.
    """
    addresses = [ip_address(text) for text in texts]
    if not addresses:
        raise InvalidValue("has no address")
    for address in addresses:
        check_address(address, own, own_only=own_only)
    return addresses


def check_address(address: Address, own: Sequence[Network] = (), *, own_only: bool = False) -> None:
    """Raises InvalidValue for an address that is neither public nor in one of the own networks."""
    if any(address in network for network in own):
        return
    if own_only:
        raise InvalidValue("goes by http to what is no network of your own")
    if not _is_public(address):
        raise InvalidValue(f"leads to {address}, which is no public address")


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _PUBLIC_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


def _literal(host: str) -> Address | None:
    """The address that a host is, None for a name; raises InvalidValue for an address that is spelled oddly."""
    if ":" in host:
        try:
            return IPv6Address(host)
        except ValueError:
            raise InvalidValue("must name a host") from None
    if _ENDS_AS_NUMBER.fullmatch(host):
        try:
            return IPv4Address(host)
        except ValueError:
            raise InvalidValue("must spell an IPv4 address as four numbers, like 93.184.216.34") from None
    if not _NAME.fullmatch(host):
        raise InvalidValue("must name a host, in ASCII: xn--… for one with other letters, without a dot at the end")
    return None
