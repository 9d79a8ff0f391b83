"""Which addresses are on this machine, and to which one a redirect leads. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from socket import inet_aton
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(NamedTuple):
    """A URL in comparable parts: `origin` is scheme, host and port, as a URL has them."""

    origin: str
    path: str
    query: list[tuple[str, str]]


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine, by its name or by an address in any form."""
    try:
        address = ip_address(host)
    except ValueError:
        try:
            address = ip_address(inet_aton(host))  # such as 127.1
        except (OSError, ValueError):
            return host.lower().removesuffix(".") == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def changes_slash_only(url: str, location: str) -> bool:
    """Whether a redirect from `url` only adds or removes the slash at the end of its path.

    Its `location` may lack the query.
    """
    here, there = _address(url), _target(url, location)
    return (
        there is not None
        and there.origin == here.origin
        and there.path != here.path
        and there.path.rstrip("/") == here.path.rstrip("/")
        and there.query in ([], here.query)
    )


def redirect_remedy(url: str, location: str, path: str) -> str:
    """What to do about a redirect to `location` from `url`, whose path ends in `path`."""
    there = _target(url, location) if location else None
    if there is None:
        return "it redirects without saying where: check api_url"
    base, here = _base(there, path), _base(_address(url), path)
    if base is None or not re.fullmatch(r"https?://[\w.:\[\]/~-]+", base, re.ASCII):
        return "it redirects to another page, as to a login: check api_url and api_key"
    if base == here:
        return "it redirects back and forth: check api_url"
    host = urlsplit(base).hostname or ""
    if base.startswith("http:") and not is_loopback(host):
        return "it redirects to plain http, which would show the key: check api_url"
    return f"the API has moved: set api_url to {base}, if that is Callcap's"


def _address(url: str) -> Address:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    is_default = parts.port in {None, _DEFAULT_PORTS.get(parts.scheme)}
    origin = f"{parts.scheme}://{host}" + ("" if is_default else f":{parts.port}")
    return Address(origin, unquote(parts.path), parse_qsl(parts.query))


def _target(url: str, location: str) -> Address | None:
    """The address of a redirect, none if it is not one."""
    try:
        return _address(urljoin(url, location))
    except ValueError:
        return None


def _base(address: Address, path: str) -> str | None:
    """The address of the API at which `path` is `address`, with or without its last slash."""
    base, found, rest = address.path.rstrip("/").rpartition(path.rstrip("/"))
    return address.origin + base if found and not rest else None
