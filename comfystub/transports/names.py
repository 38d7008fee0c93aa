"""Addresses for the names of stubs: made up, so that nobody has to be asked for them."""

from __future__ import annotations

import functools
import ipaddress
import socket

#: Blocks that are reserved for benchmarks and for documentation: nothing real lies there.
NETWORKS = {
    socket.AF_INET: ipaddress.ip_network("198.18.0.0/15"),
    socket.AF_INET6: ipaddress.ip_network("2001:db8::/32"),
}


class Names:
    """Names and the addresses they were given; a name keeps its address for good.

    An application may remember an address longer than a stub is in force.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._names: dict[str, str] = {}

    def address_of(self, name: str, family: int = socket.AF_UNSPEC) -> str:
        """The address of a name; one that is an address already is its own."""
        if is_address(name):
            return name
        number = self._numbers.setdefault(name, len(self._numbers) + 1)
        network = NETWORKS[socket.AF_INET6 if family == socket.AF_INET6 else socket.AF_INET]
        address = str(network[number])
        self._names[address] = name
        return address

    def name_of(self, address: str) -> str:
        """The name that was given an address; any other address, and any name, is its own."""
        return self._names.get(address, address)


@functools.lru_cache(maxsize=256)
def is_address(host: str) -> bool:
    """Whether a host is an IP address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
