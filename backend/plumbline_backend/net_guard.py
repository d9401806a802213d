"""Requests that this server makes for somebody: to which addresses they may go.

A name is resolved once, every address that it has is checked, and the connection goes to the address that was checked:
a name that answers differently a moment later changes nothing. Each connection is checked, so a redirect is too.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Collection, Iterable
from typing import Any, Literal

import httpcore2
import httpx2

from plumbline_backend.domain.errors import PlumblineError

Reach = Literal["public", "private"]
"""public: addresses of the open internet. private: those of this machine and its network too, for endpoints that the
administrator names. Link-local addresses, where clouds keep their keys, are never reached."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], list[str]]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SHARED = ipaddress.ip_network("100.64.0.0/10")
"""Carrier-grade NAT, where some clouds keep services of their own: neither private nor public by the standard."""


class UnreachableError(PlumblineError):
    """A request was going where it must not."""


def refusal(address: str, reach: Reach) -> str:
    """Why the address must not be connected to; empty when it may be."""
    found = _plain(ipaddress.ip_address(address.partition("%")[0]))
    if found.is_unspecified or found.is_multicast or found.is_link_local:
        return f"{address} is an address that no service has"
    if reach == "public" and (not found.is_global or found in _SHARED):
        return f"{address} is not a public address"
    if reach == "private" and found.is_reserved and not found.is_loopback:
        return f"{address} is a reserved address"
    return ""


def resolve(host: str, port: int, reach: Reach, resolver: Resolver | None = None) -> str:
    """The one address to connect to. Raises UnreachableError when any address of the name must not be reached."""
    try:
        addresses = (resolver or _lookup)(host, port)
    except OSError as error:
        raise UnreachableError(f"host {host!r} cannot be resolved: {error}") from error
    if not addresses:
        raise UnreachableError(f"host {host!r} has no address")
    for address in addresses:
        why = refusal(address, reach)
        if why:
            raise UnreachableError(f"host {host!r}: {why}")
    return addresses[0]


def guarded_transport(
    reach: Reach, hosts: Collection[str] | None = None, resolver: Resolver | None = None, **options: Any
) -> httpx2.HTTPTransport:
    """A transport whose every connection is checked. hosts: the only names that may be asked; None: any.

    Give it to a client with `trust_env=False`: a proxy from the environment would connect for itself.
    """
    transport = httpx2.HTTPTransport(**options)
    pool: Any = transport._pool
    pool._network_backend = _Backend(pool._network_backend, reach, hosts, resolver)
    return transport


def guarded_async_transport(
    reach: Reach, hosts: Collection[str] | None = None, resolver: Resolver | None = None, **options: Any
) -> httpx2.AsyncHTTPTransport:
    """As `guarded_transport`, for an asynchronous client."""
    transport = httpx2.AsyncHTTPTransport(**options)
    pool: Any = transport._pool
    pool._network_backend = _AsyncBackend(pool._network_backend, reach, hosts, resolver)
    return transport


class _Rule:
    """What both backends check."""

    def __init__(
        self, inner: Any, reach: Reach, hosts: Collection[str] | None, resolver: Resolver | None
    ) -> None:
        self._inner = inner
        self._reach = reach
        self._hosts = None if hosts is None else frozenset(host.lower() for host in hosts)
        self._resolver = resolver

    def _address(self, host: str, port: int) -> str:
        if self._hosts is not None and host.lower() not in self._hosts:
            allowed = ", ".join(sorted(self._hosts)) or "none"
            raise UnreachableError(f"host {host!r} is not one that may be asked; allowed: {allowed}")
        return resolve(host, port, self._reach, self._resolver)


class _Backend(_Rule, httpcore2.NetworkBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the address that was checked; the name stays what the certificate is checked against."""
        stream: httpcore2.NetworkStream = self._inner.connect_tcp(
            self._address(host, port), port, timeout, local_address, socket_options
        )
        return stream


class _AsyncBackend(_Rule, httpcore2.AsyncNetworkBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the address that was checked; the name stays what the certificate is checked against."""
        address = await asyncio.to_thread(self._address, host, port)
        stream: httpcore2.AsyncNetworkStream = await self._inner.connect_tcp(
            address, port, timeout, local_address, socket_options
        )
        return stream

    async def sleep(self, seconds: float) -> None:
        """Wait between attempts to connect."""
        await self._inner.sleep(seconds)


def _lookup(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does (mapped, 6to4, NAT64), else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inside = address.ipv4_mapped or address.sixtofour
    if inside is None and address in _NAT64:
        inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address if inside is None else inside
