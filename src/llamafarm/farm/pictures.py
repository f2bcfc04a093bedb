"""Reads the answer to an image request into values."""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from llamafarm.errors import BadReplyError, ConnectError
from llamafarm.transport import Endpoint
from llamafarm.transport.protocol import PLAIN_BODY_LIMIT

if TYPE_CHECKING:
    from llamafarm.transport import Transport
    from llamafarm.types import Answer, AttemptRecord, Usage

__all__ = ["Image", "Images", "fetched", "images_of"]

_FETCH_SECONDS = 60.0
_OK = 200


@dataclass(frozen=True, slots=True)
class Image:
    """One picture a model made: as base64, or as the address where it can be fetched for a while."""

    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None
    """What the model was really asked, where the vendor rewrote the prompt."""

    def decoded(self) -> bytes:
        """Give the file itself. Raises BadReplyError where there is only an address, or what came is no base64."""
        if self.b64_json is None:
            raise BadReplyError(f"the picture itself did not come, only its address: {self.url}")
        try:
            return base64.b64decode(self.b64_json, validate=True)
        except binascii.Error as error:
            raise BadReplyError(f"the picture that came is not base64: {error}") from error


@dataclass(frozen=True, slots=True)
class Images:
    """The pictures made for one prompt, in order."""

    data: tuple[Image, ...]
    usage: Usage | None
    strategy: str
    target: str
    model: str
    cost_usd: float | None
    """None where it is not known: vendors bill pictures in ways that no price by the token covers."""
    attempts: tuple[AttemptRecord, ...]


class _Reply(msgspec.Struct):
    data: tuple[Image, ...]


def images_of(answer: Answer, *, free: bool) -> Images:
    """Read the pictures out of a reply; `free` says that its target costs nothing. Raises BadReplyError."""
    try:
        pictures = msgspec.json.decode(answer.raw, type=_Reply).data
    except msgspec.DecodeError as error:
        raise BadReplyError(f"{answer.target} answered with something else than pictures: {error}") from error
    return Images(
        data=pictures,
        usage=answer.usage,
        strategy=answer.strategy,
        target=answer.target,
        model=answer.model,
        cost_usd=answer.cost_usd if free or answer.usage is not None else None,
        attempts=answer.attempts,
    )


async def fetched(transport: Transport, url: str) -> bytes:
    """Fetch a picture from the address that a vendor gave. Raises ConnectError or BadReplyError, naming its host."""
    try:
        endpoint = Endpoint.parse(url)
    except ValueError as error:
        raise BadReplyError(f"the picture's address makes no sense: {error}") from None
    try:
        async with asyncio.timeout(_FETCH_SECONDS):
            response = await transport.get(endpoint, {})
            try:
                content = await response.read(PLAIN_BODY_LIMIT)
            finally:
                response.close()
    except TimeoutError:
        raise ConnectError(f"{endpoint.host} did not give the picture within {_FETCH_SECONDS:g} s") from None
    if response.status != _OK:
        raise BadReplyError(f"{endpoint.host} answered {response.status} instead of the picture")
    return content
