"""Speaks OpenAI's format: to OpenAI, groq, together, deepseek, mistral, vLLM, TGI, llama-server and the many like them.

Where a vendor deviates from it, `Target.quirks` says so by these words:

============================ ===========================================================================================
``no_stream_options``        `stream_options` is refused; usage comes without being asked for
``max_completion_tokens``    `max_tokens` is refused: it is sent as `max_completion_tokens`
``no_max_completion_tokens`` the other way round
``random_seed``              `seed` is called `random_seed`
``no_temperature``           sampling parameters are refused: `temperature` and `top_p` are left out
``thinks_when_asked``        it reasons where `reasoning_effort` says so, and then refuses them and `logprobs`
``thinks_unless_told``       it reasons unless `reasoning_effort` is ``none``, and then refuses them and `logprobs`
``no_penalties``             `frequency_penalty` and `presence_penalty` are left out
``no_stop``                  `stop` is left out
``few_stops``                of `stop` only four sequences are sent
``no_seed``                  `seed` is left out
``no_top_k``                 `top_k` is left out
``no_logprobs``              `logprobs` and `top_logprobs` are left out
``count_logprobs``           `logprobs` is a number: that of `top_logprobs`
``no_logit_bias``            `logit_bias` is left out
``no_parallel_tool_calls``   `parallel_tool_calls` is left out
``no_required_tool``         `tool_choice: required` is sent as `auto`
``no_forced_tool``           `tool_choice` is sent as `auto` unless `thinking` is off; `none` stays
``no_json_schema``           a JSON schema is sent as an instruction, and `json_object` asked for
``no_reasoning_effort``      `reasoning_effort` is left out
``no_verbosity``             `verbosity` is left out
``no_prediction``            `prediction` is left out
``no_service_tier``          `service_tier` is left out
``no_store``                 `store` is left out
``no_metadata``              `metadata` is left out
``no_user``                  `user` is left out
``no_safety_identifier``     `safety_identifier` is left out
``no_cache_key``             `prompt_cache_key` is left out
``no_developer_role``        messages of the role `developer` are sent as `system`
``no_reasoning_back``        the reasoning of earlier answers is left out of messages
``reasoning_back``           it is sent as `reasoning`, whatever it was called
``echoes_beginning``         an answer that goes on from a given beginning repeats it
``no_trailing_space``        such a beginning must not end in white space
``stores``                   keeps requests unless told `store: false`; changes nothing here, planning reads it
``resells``                  has others answer, and takes in `provider` who may; changes nothing here, planning reads it
============================ ===========================================================================================

What other formats have and OpenAI's has not is said in OpenAI's words (`providers.plain`), unless the target is known
to take it: ``takes_cache_control``, ``takes_thinking`` (on and off), ``takes_custom_tools`` (and `allowed_tools`), with
``takes_pictures_from_tools`` pictures in the results of tools; ``takes_unknown``: nobody knows what it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamafarm.continuing import Continued
from llamafarm.providers.failures import Peer
from llamafarm.providers.openai.check import read_models
from llamafarm.providers.openai.infill import AsCompletion, InfillStream, infill_body, infill_endpoint, read_infill
from llamafarm.providers.openai.reply import read_whole, require_answer
from llamafarm.providers.openai.request import begun_by, body_of, given_to, goes_on, place_of
from llamafarm.providers.openai.stream import OpenAIStream
from llamafarm.providers.requesting import Whole, check, encode, exchange, require_success
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from llamafarm.providers import Provider
    from llamafarm.providers.stream import Limits
    from llamafarm.transport import Response, Transport
    from llamafarm.types import Attempt, Chunk, Status, Target

__all__ = ["OpenAI"]

_STREAMED = (Operation.CHAT, Operation.COMPLETION)


class OpenAI:
    """An upstream for every target whose dialect is ``openai``. Holds nothing but its transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def send(self, attempt: Attempt) -> AsyncIterator[Chunk]:
        """Send a request; a stream's chunks follow as they come, a plain answer is one chunk and already there."""
        call = attempt.call
        if call.operation is Operation.COMPLETION and attempt.target.fim == "infill" and attempt.body.get("suffix"):
            return await self._infill(attempt)
        endpoint = place_of(attempt)
        streamed = call.stream and call.operation in _STREAMED

        async def read(response: Response, peer: Peer, limits: Limits) -> AsyncIterator[Chunk]:
            await require_answer(response, peer, limits, endpoint, streamed=streamed)
            if streamed:
                return OpenAIStream(response, peer, limits)
            return Whole(*await read_whole(response, call, peer, endpoint))

        body = body_of(attempt, Peer.of(attempt.target, endpoint), streamed=streamed)
        events = await exchange(self._transport, endpoint, body, attempt, streamed=streamed, read=read)
        if call.operation is Operation.COMPLETION and attempt.target.fim == "fim":
            events = AsCompletion(events)
        if not attempt.beginning and not (goes_on(attempt) and "echoes_beginning" in attempt.target.quirks):
            return events
        _, cut = given_to(attempt)
        return Continued(events, begun_by(attempt), cut=cut, echoes="echoes_beginning" in attempt.target.quirks)

    async def _infill(self, attempt: Attempt) -> AsyncIterator[Chunk]:
        target, streamed = attempt.target, attempt.call.stream
        endpoint = infill_endpoint(target)

        async def read(response: Response, peer: Peer, limits: Limits) -> AsyncIterator[Chunk]:
            await require_success(response, peer, limits=limits)
            if streamed:
                return InfillStream(response, target, peer, limits)
            return Whole(await read_infill(response, target, peer))

        peer = Peer.of(target, endpoint)
        body = encode(infill_body(attempt, peer, streamed=streamed), peer)
        return await exchange(self._transport, endpoint, body, attempt, streamed=streamed, read=read)

    async def check(self, target: Target) -> Status:
        """Ask for the list of models, which costs nothing."""
        return await check(self._transport, target, "models", read_models)

    async def aclose(self) -> None:
        """Let go of nothing: the transport belongs to whoever made it."""


if TYPE_CHECKING:
    _: Provider = OpenAI
