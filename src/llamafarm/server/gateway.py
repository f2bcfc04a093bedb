"""The gateway as an application: lets requests in by their URL and key, and has them answered by what is served now."""

from __future__ import annotations

import os
import re
import time
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from llamafarm.errors import ConfigError, LlamaFarmError, Severity
from llamafarm.server.access import GONE, log_request
from llamafarm.server.answering import Exchange, Visit, answer, decoded
from llamafarm.server.failures import Failure, answered, failure_of
from llamafarm.server.http.messages import Refusal
from llamafarm.server.keys import Access, Caller, Denied, verdict
from llamafarm.server.models import all_models, is_anthropic, the_model
from llamafarm.server.routes import Routes, routes

if TYPE_CHECKING:
    from llamafarm.health import Health
    from llamafarm.server.formats.anthropic import CountTokens
    from llamafarm.server.formats.protocol import Dialect, Format
    from llamafarm.server.http.messages import Handler, Head, Headers, Request, Responder
    from llamafarm.server.keys import Gate
    from llamafarm.server.reload import Reloader
    from llamafarm.server.routes import Answering, Route
    from llamafarm.server.serving import Serving
    from llamafarm.server.workers.crew import Crew

__all__ = ["Gateway"]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_JSON = ("", "application/json")


class Gateway:
    """What connections ask about every request. What is served, and whose keys are good, may change under way."""

    def __init__(self, reloader: Reloader, gate: Gate, health: Health) -> None:
        self.reloader = reloader
        self.gate = gate
        """Whose keys are good; replaced when the file of keys changes."""
        self.health = health
        self.ready = True
        """Whether new requests are welcome: what `/readyz` says."""
        self.in_flight = 0
        self.answered = 0
        self._held = 0
        """Bytes of the bodies of the requests in flight."""
        self.started = time.time()
        self.crew: Crew | None = None
        """What this process has in common with others that serve beside it."""
        self._routes = Routes(routes(self))

    @property
    def serving(self) -> Serving:
        """The generation that answers new requests."""
        return self.reloader.serving

    # What connections ask

    def admit(self, head: Head) -> Handler:
        """Find who answers. Raises `Refusal`."""
        at = self._routes.at(head.path)
        route = at.get(head.method) or (at.get("GET") if head.method == "HEAD" else None)
        if route is None:
            raise self._no_route(head, at)
        request_id = _request_id(head)
        caller = verdict(self.gate, route.access, head, time.time())
        if isinstance(caller, Denied):
            code = "invalid_api_key" if caller.status == 401 else "forbidden"  # noqa: PLR2004
            failure = Failure(caller.status, caller.message, code)
            raise self._refused(failure, route.spoken(head), request_id, head, caller.headers)
        if head.method == "POST":
            self._require_json(head, route.spoken(head), request_id)
        busy = self._is_full(head) if route.access is Access.INFERENCE else ""
        if busy:
            failure = Failure(503, f"the gateway has {busy}: try again in a second", "overloaded", 1.0)
            raise self._refused(failure, route.spoken(head), request_id, head)
        return partial(self._answer, route, Visit(request_id, caller))

    def _is_full(self, head: Head) -> str:
        """Say of what the gateway has as much as it takes; empty: it takes more."""
        if self.in_flight >= self.serving.served.settings.max_requests:
            return f"{self.in_flight} requests in flight (server.max_requests)"
        length, serving = int(head.headers.get("content-length", "0")), self.serving
        # One beyond its own limit gets a 413 from the connection.
        if length <= serving.body_limit and self._held + length > serving.bodies_limit:
            return f"{self._held} bytes of requests in flight (server.bodies_limit)"
        return ""

    def refuse(self, status: int, message: str, head: Head | None) -> Refusal:
        """Word what a connection itself says."""
        route = self._routes.at(head.path).get(head.method) if head is not None else None
        request_id = _request_id(head)
        code = "overloaded" if status == 503 else "bad_request" if status < 500 else "internal_error"  # noqa: PLR2004
        failure = Failure(status, message, code, 1.0 if status == 503 else None)  # noqa: PLR2004
        return self._refused(failure, route.spoken(head) if route and head else "openai", request_id, head)

    def _no_route(self, head: Head, at: dict[str, Route]) -> Refusal:
        request_id = _request_id(head)
        dialect: Dialect = "anthropic" if is_anthropic(head) else "openai"
        if at:
            allowed = ", ".join(sorted(at))
            failure = Failure(405, f"{head.path[:200]} takes {allowed}, not {head.method[:20]}", "method_not_allowed")
            return self._refused(failure, dialect, request_id, head, [("allow", allowed)])
        failure = Failure(
            404, f"there is nothing at {head.path[:200]!r}: /openapi.json lists what there is", "not_found"
        )
        return self._refused(failure, dialect, request_id, head)

    def _require_json(self, head: Head, dialect: Dialect, request_id: str) -> None:
        kind = head.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _JSON:
            failure = Failure(415, f"content-type is {kind[:60]!r}: send application/json", "unsupported_media_type")
            raise self._refused(failure, dialect, request_id, head)

    def _refused(
        self, failure: Failure, dialect: Dialect, request_id: str, head: Head | None, more: Headers = ()
    ) -> Refusal:
        status, headers, body = answered(failure, dialect, request_id)
        if head is not None:
            log_request(head, Visit(request_id, Caller(None), Exchange(error=failure.code)), status, 0.0)
        return Refusal(status, [*headers, *more], body)

    # Answering

    async def _answer(self, route: Route, visit: Visit, request: Request, responder: Responder) -> None:
        began = time.monotonic()
        self.in_flight += 1
        self._held += len(request.body)
        if self.crew is not None:
            self.crew.tally(self.in_flight, self.answered)
        status = GONE
        try:
            await route.answer(request, responder, visit)
            status = visit.exchange.status
        except LlamaFarmError as error:
            failure = failure_of(error)
            status, visit.exchange.error = failure.status, failure.code
            responder.send(*answered(failure, route.spoken(request.head), visit.request_id))
        finally:
            self.in_flight -= 1
            self._held -= len(request.body)
            self.answered += 1
            if self.crew is not None:
                self.crew.tally(self.in_flight, self.answered)
            log_request(request.head, visit, status, time.monotonic() - began)

    def asking(self, api: Format) -> Answering:
        """Make the answering of an API that asks a model."""

        async def ask(request: Request, responder: Responder, visit: Visit) -> None:
            serving = self.serving
            serving.enter()
            try:
                await answer(request, responder, api, serving, visit)
            finally:
                serving.leave()

        return ask

    def counting(self, api: CountTokens) -> Answering:
        """Make the answering of the API that only counts a prompt's tokens."""

        async def count(request: Request, responder: Responder, visit: Visit) -> None:
            call = api.read(decoded(request.body), request.head)
            farm, call.model = self.serving.find(call.model, visit.caller.may_use)
            size = farm.explain(call).size
            how = "counted" if size.counted else "estimated"
            headers = [*_json_headers(visit), ("x-llamafarm-tokens", how)]
            responder.send(200, headers, api.write(size.tokens))

        return count

    async def models(self, request: Request, responder: Responder, visit: Visit) -> None:
        """Answer `/v1/models`."""
        responder.send(200, _json_headers(visit), all_models(self.serving, request.head, visit.caller.may_use))

    async def model(self, request: Request, responder: Responder, visit: Visit) -> None:
        """Answer `/v1/models/NAME`."""
        responder.send(200, _json_headers(visit), the_model(self.serving, request.head, visit.caller.may_use))

    async def livez(self, _: Request, responder: Responder, visit: Visit) -> None:
        """Say that the process is alive."""
        responder.send(200, _json_headers(visit), b'{"status":"alive"}')

    async def readyz(self, _: Request, responder: Responder, visit: Visit) -> None:
        """Say whether new requests are welcome."""
        status = visit.exchange.status = 200 if self.ready else 503
        said = b'{"status":"ready"}' if self.ready else b'{"status":"draining"}'
        responder.send(status, _json_headers(visit), said)

    async def openapi(self, _: Request, responder: Responder, visit: Visit) -> None:
        """Give the OpenAPI document."""
        from llamafarm.server.openapi import document

        responder.send(200, _json_headers(visit), document())

    async def status(self, _: Request, responder: Responder, visit: Visit) -> None:
        """Say what is served and how it fares."""
        from llamafarm.server.status import status_of

        responder.send(200, _json_headers(visit), msgspec.json.encode(status_of(self)))

    async def reload(self, _: Request, responder: Responder, visit: Visit) -> None:
        """Load the strategy file anew. An invalid one leaves everything as it is."""
        try:
            said = await self.reloader.reload()
        except ConfigError as error:
            findings = [str(finding) for finding in error.findings if finding.severity is Severity.ERROR]
            failure = Failure(422, "\n".join(findings) or str(error), error.kind)
            visit.exchange.status, visit.exchange.error = failure.status, failure.code
            responder.send(*answered(failure, "openai", visit.request_id))
        else:
            responder.send(200, _json_headers(visit), msgspec.json.encode(said))


def _request_id(head: Head | None) -> str:
    given = head.headers.get("x-request-id", "") if head is not None else ""
    return given if _REQUEST_ID.fullmatch(given) else "req_" + os.urandom(12).hex()


def _json_headers(visit: Visit) -> list[tuple[str, str]]:
    return [("content-type", "application/json"), ("x-request-id", visit.request_id)]
