"""Says in one line what one of aiohttp's exceptions means: who could not be reached, why, and what to do."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import aiohttp

from llamafarm.errors import AttemptError, BadReplyError, ConnectError

if TYPE_CHECKING:
    from llamafarm.transport.endpoint import Endpoint

__all__ = ["explain"]


def explain(error: Exception, endpoint: Endpoint, proxy: str | None, connect_seconds: float) -> AttemptError:
    """Translate what a request raised before its answer's headers were in."""
    match error:
        case aiohttp.ClientHttpProxyError() | aiohttp.ClientProxyConnectionError():
            return ConnectError(f"cannot connect to {endpoint.place}: {_proxy(error, proxy)}")
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return BadReplyError(f"{endpoint.shown} did not answer in HTTP; check that base_url names the right port")
        case aiohttp.ServerDisconnectedError():
            return ConnectError(f"{endpoint.place} closed the connection before it answered; see the server's own log")
        case aiohttp.ClientOSError() if _errno(error) in (errno.ECONNRESET, errno.EPIPE):
            return ConnectError(f"{endpoint.place} reset the connection before it answered; see the server's own log")
        case aiohttp.ConnectionTimeoutError():
            reason = f"no connection within {connect_seconds:g} s; check base_url and the network"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            reason = _tls(error)
        case aiohttp.ClientConnectorDNSError():
            reason = f"the name {endpoint.host} is not known; check base_url and the network"
        case aiohttp.ClientOSError():
            reason = _system(error)
        case _:
            reason = f"the request could not be sent ({type(error).__name__}); check base_url"
    return ConnectError(f"cannot connect to {endpoint.place}: {reason}")


def _errno(error: aiohttp.ClientOSError) -> int | None:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return cause.errno


def _system(error: aiohttp.ClientOSError) -> str:
    match _errno(error):
        case errno.ECONNREFUSED:
            return "nothing listens there; start the server or check base_url"
        case errno.ENOENT:
            return "the socket does not exist; start the server or check base_url"
        case _:
            cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
            return f"{(cause.strerror or str(cause)).lower()}; check base_url and the network"


def _tls(error: aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        cause = error.certificate_error
        return (
            f"its TLS certificate is not trusted ({getattr(cause, 'verify_message', None) or cause}); where a "
            f"company or you yourself signed it, set SSL_CERT_FILE to that authority's certificate"
        )
    cause = error.os_error
    reason = str(getattr(cause, "reason", None) or cause).replace("_", " ").lower()
    return f"TLS failed ({reason}); check that base_url should begin with https"


def _proxy(error: aiohttp.ClientHttpProxyError | aiohttp.ClientProxyConnectionError, proxy: str | None) -> str:
    what = f"answered {error.status}" if isinstance(error, aiohttp.ClientHttpProxyError) else "cannot be reached"
    return f"the proxy {proxy} {what}; check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"
