"""Where this server may send requests to: which addresses are public, and which an administrator allows besides.

It decides; it opens no connection (that is `egress`).
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from tunery.core.errors import Problem

Address = IPv4Address | IPv6Address

_NAME = re.compile(r"^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?$")
_PORTS = {"http": 80, "https": 443}
_UNICAST6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")
_METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",
        "169.254.170.2",
        "169.254.170.23",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
    )
)
"""Where clouds tell a machine its own secrets."""


@dataclass(frozen=True)
class Target:
    """An address that someone gave, taken apart once; everything later goes by these parts."""

    scheme: str
    host: str
    port: int
    path: str
    """Without a slash at its end."""

    @property
    def is_number(self) -> bool:
        """Its host is an address, not a name."""
        return ":" in self.host or self.host.replace(".", "").isdigit()

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them: the scheme's own port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def parse_target(text: str) -> Target:
    """Take an address apart. Raises Problem `address_invalid`, which never repeats it: it may hold a password."""
    if re.search(r"[\s\\\x00-\x1f\x7f]", text):
        raise Problem("address_invalid", detail="it contains a space or a backslash")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise Problem("address_invalid", detail="the host or port is malformed") from error
    if parts.scheme not in _PORTS:
        raise Problem("address_invalid", detail="it must start with https:// or http://")
    if "@" in parts.netloc:
        raise Problem(
            "address_invalid", detail="it contains a user name or an @; credentials have their own fields"
        )
    if parts.query or parts.fragment:
        raise Problem("address_invalid", detail="it contains ? or #")
    if port == 0:
        raise Problem("address_invalid", detail="port 0 isn't valid")
    return Target(
        parts.scheme, _host(parts.hostname or ""), port or _PORTS[parts.scheme], parts.path.rstrip("/")
    )


def _host(written: str) -> str:
    if "%" in written:
        raise Problem("address_invalid", detail="its host is malformed")
    try:
        return str(IPv6Address(written)) if ":" in written else _ascii(written)
    except ValueError as error:
        raise Problem("address_invalid", detail="its host is malformed") from error


def _ascii(written: str) -> str:
    name = written.encode("idna").decode().lower() if not written.isascii() else written.lower()
    if not _NAME.match(name) or len(name) > 253:
        raise ValueError(name)
    return name


@dataclass(frozen=True)
class Allowance:
    """A host or network without a public address that an administrator allows, at one port or at all."""

    host: str
    network: IPv4Network | IPv6Network | None
    port: int | None

    @classmethod
    def parse(cls, text: str) -> "Allowance":
        """HOST, HOST:PORT, an address, or a network such as 10.0.0.0/8. Raises ValueError."""
        try:
            return cls("", ipaddress.ip_network(text, strict=False), None)
        except ValueError:
            pass
        parts = urlsplit(f"//{text}")
        if not parts.hostname or parts.netloc != text or "@" in text:
            raise ValueError(f"{text!r} isn't a host, HOST:PORT or network")
        try:
            return cls("", ipaddress.ip_network(parts.hostname), parts.port)
        except ValueError:
            return cls(_ascii(parts.hostname), None, parts.port)

    def covers(self, host: str, port: int, address: Address) -> bool:
        if self.port not in (None, port):
            return False
        if self.network is None:
            return host.rstrip(".") == self.host.rstrip(".")
        return address.version == self.network.version and address in self.network


def check_address(host: str, port: int, address: Address, allowed: Sequence[Allowance]) -> None:
    """Whether a request may go to `address`, which `host` leads to.

    Raises Problem `address_forbidden` for metadata services and what is no single machine's address, whatever is
    allowed; `address_private` for what isn't public. Neither names the address: names of this network are its own.
    """
    kinds = [_kind(one) for one in (address, *_inside(address))]
    for kind in kinds:
        if kind in ("a cloud metadata service", "a reserved address"):
            raise Problem("address_forbidden", host=host, kind=kind)
    if any(one.covers(host, port, plain) for one in allowed for plain in (address, *_inside(address))):
        return
    for kind in kinds:
        if kind is not None:
            raise Problem("address_private", host=host, kind=kind)


def _inside(address: Address) -> list[Address]:
    """The IPv4 addresses that an IPv6 address carries."""
    if isinstance(address, IPv4Address):
        return []
    found: list[Address] = [
        one for one in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())) if one is not None
    ]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return found


def _kind(address: Address) -> str | None:
    """What an address is that isn't public; None for a public one."""
    if address in _METADATA:
        return "a cloud metadata service"
    if address.is_multicast or address.is_unspecified or address == IPv4Address("255.255.255.255"):
        return "a reserved address"
    if address.is_loopback:
        return "an address of this machine"
    if address.is_link_local:
        return "a link-local address"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped or address in _NAT64:
            return None  # what it carries is judged
        return None if address in _UNICAST6 and address.is_global else "a private address"
    return None if address.is_global else "a private address"
