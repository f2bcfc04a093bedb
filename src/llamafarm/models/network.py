"""The HTTP client that fetches files: trusted roots, proxies, credentials and patience."""

from __future__ import annotations

import base64
import netrc
import os
import ssl
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llamafarm.home import expanded
from llamafarm.models.patience import Patience, SourceFailedError

if TYPE_CHECKING:
    import aiohttp

__all__ = ["headers_for", "open_session", "proxy_for"]

_ROOTS = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def open_session(patience: Patience) -> aiohttp.ClientSession:
    """Open a client that trusts the environment's root certificates.

    Proxies and netrc are given with each request: the client's own way to find them refuses a token beside them.
    """
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=None, sock_connect=patience.connect, sock_read=patience.stall)
    connector = aiohttp.TCPConnector(ssl=_context())
    return aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False, max_line_size=1 << 16)


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    for variable in _ROOTS:
        place = os.environ.get(variable, "")
        if place and Path(place).is_dir():
            context.load_verify_locations(capath=place)
        elif place:
            try:
                context.load_verify_locations(cafile=place)
            except (OSError, ssl.SSLError) as error:
                raise SourceFailedError(
                    f"the root certificates that {variable} names cannot be read: {error}"
                ) from error
    return context


def proxy_for(url: str) -> str | None:
    """Give the proxy that the environment names for a URL; None: connect directly, as always to this machine.

    Raises `SourceFailedError` for a proxy that does not speak HTTP: going past it would break the network's rule.
    """
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    host = parts.hostname or ""
    if not proxy or host in ("localhost", "::1") or host.startswith("127.") or proxy_bypass(parts.netloc):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(proxy).scheme not in ("http", "https"):
        raise SourceFailedError(f"the proxy for {host} is of a kind that is not supported: only http and https are")
    return proxy


def headers_for(url: str) -> dict[str, str]:
    """Give the headers for a file: a hub's token goes to its own host alone, a netrc entry to the host it names."""
    headers = {"Accept-Encoding": "identity"}
    parts = urlsplit(url)
    endpoint = urlsplit(os.environ.get("HF_ENDPOINT", "") or "https://huggingface.co")
    token = os.environ.get("HF_TOKEN", "").strip()
    if token and (parts.scheme, parts.netloc) == (endpoint.scheme, endpoint.netloc):
        headers["Authorization"] = f"Bearer {token}"
    elif parts.hostname and not parts.username:
        headers.update(_netrc(parts.hostname))
    return headers


def _netrc(host: str) -> dict[str, str]:
    try:
        path = Path(os.environ.get("NETRC") or expanded("~") / (".netrc" if os.name != "nt" else "_netrc"))
        entry = netrc.netrc(path).authenticators(host)
    except (OSError, ValueError, netrc.NetrcParseError):  # the same as curl and pip: no usable file, no credentials
        return {}
    if entry is None:
        return {}
    login, _, password = entry
    credentials = base64.b64encode(f"{login}:{password or ''}".encode()).decode()
    return {"Authorization": f"Basic {credentials}"}
