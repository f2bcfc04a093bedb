"""HTTP to upstreams: a small contract, the client that satisfies it, and what may be connected to."""

from llamafarm.transport.endpoint import Endpoint
from llamafarm.transport.guard import Guard, LoopbackOnly
from llamafarm.transport.http import HttpTransport
from llamafarm.transport.protocol import Response, Transport
from llamafarm.transport.sse import Event, OversizedEventError, SSEParser

__all__ = [
    "Endpoint",
    "Event",
    "Guard",
    "HttpTransport",
    "LoopbackOnly",
    "OversizedEventError",
    "Response",
    "SSEParser",
    "Transport",
]
