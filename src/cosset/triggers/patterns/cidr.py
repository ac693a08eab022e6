"""Networks in patterns, `10.0.0.0/24`, read as strictly as AWS reads them."""

import ipaddress


class InvalidCidrError(Exception):
    """The message is AWS's (recorded: content_ip_address_EXC and its kin)."""


def parse_cidr(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Raises: InvalidCidrError."""
    parts = text.split("/")
    if len(parts) != 2:
        raise InvalidCidrError("Malformed CIDR, one '/' required")
    host, mask = parts
    digits = mask.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise InvalidCidrError("Malformed CIDR, mask bits must be an integer")
    bits = int(mask)
    if bits < 0:
        raise InvalidCidrError("Malformed CIDR, mask bits must not be negative")
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise InvalidCidrError(f"Nonstandard IP address: {host}") from error
    if bits > address.max_prefixlen:
        raise InvalidCidrError(f"IPv{address.version} mask bits must be < {address.max_prefixlen}")
    return ipaddress.ip_network((address, bits), strict=False)
