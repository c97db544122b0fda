"""host:port, taken apart. Resolves no names: what is not an address literal is taken as written."""

from __future__ import annotations

import ipaddress
import re

from namestore.errors import ConfigError

_ADDRESS = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})"
)


def split_address(text: str) -> tuple[str, int]:
    """Returns the host (an IPv6 one without its brackets) and the port, 0 to 65535.

    Raises:
        ConfigError: Not host:port.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ConfigError(f"{text!a} is not host:port, such as 127.0.0.1:7101 or [::1]:7101")
    return match["six"] or match["host"], int(match["port"])


def is_loopback(host: str) -> bool:
    """The host is this machine talking to itself. A name other than localhost never counts."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
