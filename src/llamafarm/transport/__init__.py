"""HTTP to upstreams: a small contract, the client that satisfies it, and what may be connected to."""

from llamafarm.transport.endpoint import Endpoint
from llamafarm.transport.guard import EncryptedElsewhere, Guard, LoopbackOnly
from llamafarm.transport.http import HttpTransport
from llamafarm.transport.ndjson import NDJSONParser
from llamafarm.transport.protocol import Response, Transport
from llamafarm.transport.sse import Event, OversizedEventError, SSEParser

__all__ = [
    "EncryptedElsewhere",
    "Endpoint",
    "Event",
    "Guard",
    "HttpTransport",
    "LoopbackOnly",
    "NDJSONParser",
    "OversizedEventError",
    "Response",
    "SSEParser",
    "Transport",
]
