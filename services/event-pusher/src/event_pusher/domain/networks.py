"""Which addresses a webhook may reach: it must not become a way into places behind the firewall."""

import ipaddress
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAMED = {
    "private": ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
    "loopback": ("127.0.0.0/8", "::1/128"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
}
_METADATA = {ipaddress.ip_address(text) for text in ("100.100.100.200", "fd00:ec2::254")}
"""Where clouds keep credentials, inside networks that are otherwise private."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class BadNetwork(ValueError):
    """Neither a network nor one of: private, loopback, link-local"""


def networks_of(words: str) -> tuple[Network, ...]:
    """Networks (``10.1.0.0/16``) and names of networks, separated by commas. BadNetwork."""
    found: list[Network] = []
    for word in filter(None, (word.strip() for word in words.split(","))):
        try:
            found += [ipaddress.ip_network(text) for text in _NAMED.get(word, (word,))]
        except ValueError:
            raise BadNetwork(f"{word}: {BadNetwork.__doc__}") from None
    return tuple(found)


def permitted(text: str, allowed: tuple[Network, ...]) -> bool:
    """Whether an address is public, or in one of the networks that are ``allowed`` besides."""
    address = _innermost(ipaddress.ip_address(text.partition("%")[0]))
    if address in _METADATA:
        return False
    if any(address in network for network in allowed):
        return True
    return address.is_global and not address.is_multicast


def _innermost(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
