"""Every URL of the gateway, in one table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llamafarm.server import models
from llamafarm.server.formats.anthropic import CountTokens, Messages
from llamafarm.server.formats.openai import Chat, Completions, Embeddings, Images
from llamafarm.server.formats.responses.format import Responses
from llamafarm.server.keys import Access

if TYPE_CHECKING:
    from llamafarm.server.answering import Visit
    from llamafarm.server.formats.protocol import Dialect
    from llamafarm.server.gateway import Gateway
    from llamafarm.server.http.messages import Head, Request, Responder

__all__ = ["Answering", "Route", "Routes", "routes"]

Answering = Callable[["Request", "Responder", "Visit"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Route:
    """One URL: who may ask, and who answers."""

    method: str
    path: str
    """Compared with the path as it was sent. One that ends in ``/*`` is a beginning: the rest is a name."""
    access: Access
    answer: Answering
    dialect: Dialect | None = "openai"
    """In whose words errors are given; None: in those of the client, which the list of models tells by its headers."""

    def spoken(self, head: Head) -> Dialect:
        """Give the API whose words this client knows."""
        return self.dialect or ("anthropic" if models.is_anthropic(head) else "openai")


def routes(gateway: Gateway) -> tuple[Route, ...]:
    """Give every URL there is."""
    asking, counting = gateway.asking, gateway.counting
    return (
        Route("POST", "/v1/chat/completions", Access.INFERENCE, asking(Chat())),
        Route("POST", "/v1/completions", Access.INFERENCE, asking(Completions())),
        Route("POST", "/v1/embeddings", Access.INFERENCE, asking(Embeddings())),
        Route("POST", "/v1/images/generations", Access.INFERENCE, asking(Images())),
        Route("POST", "/v1/responses", Access.INFERENCE, asking(Responses())),
        Route("POST", "/v1/messages", Access.INFERENCE, asking(Messages()), "anthropic"),
        Route("POST", "/v1/messages/count_tokens", Access.INFERENCE, counting(CountTokens()), "anthropic"),
        Route("GET", models.PATH, Access.INFERENCE, gateway.models, None),
        Route("GET", f"{models.PATH}/*", Access.INFERENCE, gateway.model, None),
        Route("GET", "/livez", Access.OPEN, gateway.livez),
        Route("GET", "/readyz", Access.OPEN, gateway.readyz),
        Route("GET", "/openapi.json", Access.OPEN, gateway.openapi),
        Route("GET", "/admin/status", Access.ADMIN, gateway.status),
        Route("POST", "/admin/reload", Access.ADMIN, gateway.reload),
    )


class Routes:
    """The table, by path."""

    def __init__(self, table: tuple[Route, ...]) -> None:
        self._exact: dict[str, dict[str, Route]] = {}
        self._beginnings: list[tuple[str, dict[str, Route]]] = []
        for route in table:
            by_method = self._exact.setdefault(route.path, {})
            by_method[route.method] = route
            if route.path.endswith("/*"):
                self._beginnings.append((route.path[:-1], by_method))

    def at(self, path: str) -> dict[str, Route]:
        """Give the routes of a path by their methods; empty: there is nothing."""
        found = self._exact.get(path)
        if found is None:
            found = next((by_method for start, by_method in self._beginnings if path.startswith(start)), {})
        return found
