"""Choosing ports and names for `init`: port 0 becomes a free one below the range that the system gives to others.

A port from the ephemeral range could be taken by any outgoing connection before the next start; one below it stays
ours. The choice is made once and written down.
"""

import ipaddress
import random
import socket
from pathlib import Path

from sopwith_controller.domain.errors import InvalidInputError, UnavailableError

_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_DEFAULT = 32768
_LOWEST = 20000
_TRIES = 200
WILDCARDS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104  compared with, not bound to


def resolve_ports(host: str, fleet_port: int, web_port: int) -> tuple[int, int]:
    """Return two different ports; a given one is taken as it is, 0 is replaced by a free one."""
    if fleet_port and fleet_port == web_port:
        raise InvalidInputError("--fleet-port and --web-port are equal", remedy="name two different ports")
    fleet = fleet_port or _free_port(host, {web_port})
    return fleet, web_port or _free_port(host, {fleet})


def advertised_name(listen: str) -> str:
    """Return by what name the controller is reached when nobody said one: its address, else this machine's name."""
    if listen not in WILDCARDS:
        return listen
    name = socket.getfqdn()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return "localhost"
    return name


def check_host(host: str, option: str) -> None:
    """Raise InvalidInputError for what is neither an address nor a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        labels = host.removesuffix(".").split(".")
        if not all(0 < len(label) < 64 and label.replace("-", "a").isalnum() and label.isascii() for label in labels):  # noqa: PLR2004  RFC 1035
            raise InvalidInputError(f"{option}: {host!r} is neither an address nor a name") from None


def _free_port(host: str, taken: set[int]) -> int:
    if not _is_free(host, 0):
        raise InvalidInputError(
            f"--listen: {host} is no address of this machine", remedy="name one of `ip address`, or 0.0.0.0 for all"
        )
    highest = _ephemeral_start() - 1
    for _ in range(_TRIES):
        port = random.randint(_LOWEST, highest)  # noqa: S311  no secret: any free port will do
        if port not in taken and _is_free(host, port):
            return port
    raise UnavailableError("no free port was found", remedy="name one with --fleet-port and --web-port")


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _ephemeral_start() -> int:
    try:
        start = int(_RANGE_FILE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        start = _EPHEMERAL_DEFAULT
    return start if start > _LOWEST + _TRIES else 65536
