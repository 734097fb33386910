"""The original caller's address, which proxies before the gateway hand on."""

import ipaddress

from django.conf import settings


def original_address(peer: str, forwarded_for: str) -> str:
    """X-Forwarded-For counts from the right, and only as far as trusted proxies wrote it; `peer` is who is connected."""
    address = peer
    for hop in reversed(forwarded_for.split(",")):
        if not _is_trusted(address):
            break
        try:
            address = str(ipaddress.ip_address(hop.strip()))
        except ValueError:
            break
    return address


def _is_trusted(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in settings.GATEWAY_TRUSTED_PROXIES)
