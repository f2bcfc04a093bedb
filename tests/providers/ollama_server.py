"""A little Ollama on a loopback port: its paths, its checks of a request, its lines and its errors, word by word."""

from __future__ import annotations

import asyncio
import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import msgspec

from llamafarm.testing import FakeServer
from llamafarm.testing.fake_server import reply

if TYPE_CHECKING:
    from llamafarm.testing import Request

VERSION = "0.40.2"
WHEN = "2026-11-22T10:00:00.123456789Z"
_INTEGERS = {"num_ctx", "num_predict", "num_gpu", "num_thread", "top_k", "seed", "num_keep", "repeat_last_n"}
_FLOATS = {"temperature", "top_p", "min_p", "frequency_penalty", "presence_penalty", "repeat_penalty", "typical_p"}
_LEVELS = ("low", "medium", "high", "max")


@dataclass
class Model:
    """A model it has, and what that one says."""

    name: str = "fake-model:latest"
    text: str = "Hello world"
    thinking: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    capabilities: tuple[str, ...] = ("completion", "tools", "thinking", "vision", "insert")
    remote_host: str = ""
    remote_model: str = ""
    input_tokens: int | None = 9
    """None: the prompt was in the cache, and nothing is said."""
    breaks_with: str = ""
    """An error in the middle of the answer."""


class RefusedError(Exception):
    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


@dataclass
class Said:
    """What came of one request, for tests that look behind the answer."""

    path: str
    body: dict[str, Any]
    read: int = 0
    """Words of the prompt the model got to see."""


class FakeOllama(FakeServer):
    """Serves its models. `busy`: its queue is full. `token`: the only key it lets in."""

    def __init__(self, *models: Model, token: str = "", embeds: int = 3) -> None:
        super().__init__(self._behave)
        self.models = {model.name: model for model in models or (Model(),)}
        self.token = token
        self.busy = False
        self.width = embeds
        self.said: list[Said] = []

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self.base_url = self.base_url.removesuffix("/v1")
        return self

    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    async def _behave(self, request: Request, writer: asyncio.StreamWriter) -> None:
        try:
            await self._route(request, writer)
        except RefusedError as refused:
            await reply(refused.status, {"error": str(refused)})(request, writer)

    async def _route(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            raise RefusedError(401, "unauthorized")
        match request.method, request.path:
            case "GET", "/api/version":
                await reply(200, {"version": VERSION})(request, writer)
            case "GET", "/api/tags":
                await reply(200, {"models": [self._row(model) for model in self.models.values()]})(request, writer)
            case "POST", "/api/show":
                await reply(200, self._shown(self._model(_body(request))))(request, writer)
            case "POST", "/api/chat":
                await self._answer(request, writer, _body(request), chat=True)
            case "POST", "/api/generate":
                await self._answer(request, writer, _body(request), chat=False)
            case "POST", "/api/embed":
                await reply(200, self._embed(_body(request)))(request, writer)
            case _:
                await reply(404, "404 page not found", {"content-type": "text/plain"})(request, writer)

    def _model(self, body: dict[str, Any]) -> Model:
        name = body.get("model")
        if not name:
            raise RefusedError(400, "model is required")
        full = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
        if full not in self.models:
            raise RefusedError(404, f"model '{name}' not found")
        return self.models[full]

    def _row(self, model: Model) -> dict[str, Any]:
        row = {"name": model.name, "model": model.name, "modified_at": WHEN, "size": 2019393189, "digest": "a80c4f17"}
        return {**row, **_remote(model), "details": {"format": "gguf", "family": "llama", "parameter_size": "3.2B"}}

    def _shown(self, model: Model) -> dict[str, Any]:
        return {
            "modelfile": "FROM x",
            "details": {"format": "gguf", "family": "llama"},
            "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
            "capabilities": list(model.capabilities),
            "modified_at": WHEN,
            **_remote(model),
        }

    async def _answer(
        self, request: Request, writer: asyncio.StreamWriter, body: dict[str, Any], *, chat: bool
    ) -> None:
        model = self._model(body)
        _check(body, model, chat=chat)
        if self.busy:
            raise RefusedError(503, "server busy, please try again.  maximum pending requests exceeded")
        said = Said(request.path, body)
        self.said.append(said)
        lines = _lines(model, body, said, chat=chat)
        if body.get("stream") is False:
            await reply(200, _whole(lines, chat=chat))(request, writer)
        else:
            await ndjson(*lines)(request, writer)

    def _embed(self, body: dict[str, Any]) -> dict[str, Any]:
        self._model(body)
        _check_options(body.get("options") or {})
        texts = [body["input"]] if isinstance(body.get("input"), str) else body.get("input")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise RefusedError(400, "invalid input type")
        counts = [len(text.split()) for text in texts]
        if body.get("truncate") is False and max(counts) > body["options"].get("num_ctx", 4096):
            raise RefusedError(400, "the input length exceeds the context length")
        width = body.get("dimensions") or self.width
        self.said.append(Said("/api/embed", body, sum(counts)))
        vectors = [[len(text) / 10.0, *(0.5 for _ in range(width - 1))] for text in texts]
        return {"model": body["model"], "embeddings": vectors, "total_duration": 1, "prompt_eval_count": sum(counts)}


def ndjson(*lines: dict[str, Any] | bytes, close: bool = False):
    """Stream these lines, each as a chunk of the body."""

    async def behave(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n")
        for line in lines:
            data = line if isinstance(line, bytes) else msgspec.json.encode(line) + b"\n"
            writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            await writer.drain()
            await asyncio.sleep(0)
        if close:
            writer.close()
        else:
            writer.write(b"0\r\n\r\n")
            await writer.drain()

    return behave


def _body(request: Request) -> dict[str, Any]:
    if not request.body:
        raise RefusedError(400, "missing request body")
    try:
        body = request.json
    except msgspec.DecodeError as error:
        raise RefusedError(400, str(error)) from None
    if not isinstance(body, dict):
        raise RefusedError(400, "json: cannot unmarshal array into Go value of type api.ChatRequest")
    return body


def _remote(model: Model) -> dict[str, str]:
    both = {"remote_host": model.remote_host, "remote_model": model.remote_model}
    return {key: value for key, value in both.items() if value}


def _check(body: dict[str, Any], model: Model, *, chat: bool) -> None:
    _check_options(body.get("options") or {})
    think = body.get("think")
    if isinstance(think, str) and think not in _LEVELS:
        levels = '(must be "high", "medium", "low", "max", true, or false)'
        raise RefusedError(400, f'invalid think value: "{think}" {levels}')
    if think and "thinking" not in model.capabilities:
        raise RefusedError(400, f'"{body["model"]}" does not support thinking')
    if body.get("tools") and "tools" not in model.capabilities:
        raise RefusedError(400, f"registry.ollama.ai/library/{model.name} does not support tools")
    if body.get("suffix") and "insert" not in model.capabilities:
        raise RefusedError(400, f"registry.ollama.ai/library/{model.name} does not support insert")
    if chat:
        for message in body.get("messages") or ():
            _check_message(message)
    elif not isinstance(body.get("prompt", ""), str):
        raise RefusedError(
            400, "json: cannot unmarshal array into Go struct field GenerateRequest.prompt of type string"
        )


def _check_options(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if name in _INTEGERS and (isinstance(value, bool) or not isinstance(value, int)):
            raise RefusedError(400, f'option "{name}" must be of type integer')
        if name in _FLOATS and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise RefusedError(400, f'option "{name}" must be of type float32')
        if name == "stop" and not isinstance(value, list):
            raise RefusedError(400, 'option "stop" must be of type array')


def _check_message(message: dict[str, Any]) -> None:
    where = "json: cannot unmarshal {} into Go struct field ChatRequest.messages.{} of type {}"
    if not isinstance(message.get("content"), str):
        raise RefusedError(400, where.format("array", "content", "string"))
    for image in message.get("images") or ():
        try:
            base64.b64decode(image, validate=True)
        except (binascii.Error, ValueError):
            raise RefusedError(400, "illegal base64 data at input byte 0") from None
    for call in message.get("tool_calls") or ():
        if not isinstance(call["function"]["arguments"], dict):
            raise RefusedError(400, where.format("string", "tool_calls.function.arguments", "map[string]interface {}"))


def _lines(model: Model, body: dict[str, Any], said: Said, *, chat: bool) -> list[dict[str, Any]]:
    messages = body.get("messages") or []
    prompt = " ".join(message["content"] for message in messages) if chat else body.get("prompt", "")
    if not prompt:
        reason = "unload" if body.get("keep_alive") == 0 else "load"
        return [_line(body, "", chat=chat, done=True, done_reason=reason)]
    window = body.get("options", {}).get("num_ctx", 4096)
    words = len(prompt.split())
    if words > window and body.get("truncate") is False:
        detail = {"code": 400, "message": _too_long(words, window), "type": "exceed_context_size_error"}
        raise RefusedError(400, msgspec.json.encode({"error": {**detail, "n_ctx": window}}).decode())
    said.read = min(words, window)
    text = model.text
    if (chat and messages[-1]["role"] == "assistant") or (not chat and body.get("raw")):
        start = messages[-1]["content"] if chat else ""
        text = text.removeprefix(start)
    return _spoken(model, body, text, chat=chat)


def _too_long(words: int, window: int) -> str:
    return f"request ({words} tokens) exceeds the available context size ({window} tokens), try increasing it"


def _spoken(model: Model, body: dict[str, Any], text: str, *, chat: bool) -> list[dict[str, Any]]:
    pieces = text.split(" ") if text else []
    limit = body.get("options", {}).get("num_predict")
    cut = limit is not None and len(pieces) > limit
    pieces = [piece if at == 0 else f" {piece}" for at, piece in enumerate(pieces[:limit] if cut else pieces)]
    lines = []
    if model.thinking and body.get("think") is not False and not body.get("raw"):
        lines += [_line(body, "", chat=chat, thinking=word) for word in model.thinking.split(" ")]
    lines += [_line(body, piece, chat=chat) for piece in pieces]
    if chat:
        lines += [_line(body, "", chat=True, calls=[call]) for call in enumerate(model.calls)]
    if model.breaks_with:
        return [*lines, {"error": model.breaks_with}]
    counts = {"eval_count": len(pieces) or 2, "eval_duration": 87, "total_duration": 301, "load_duration": 12}
    if model.input_tokens is not None:
        counts |= {"prompt_eval_count": model.input_tokens, "prompt_eval_duration": 50}
    lines.append(_line(body, "", chat=chat, done=True, done_reason="length" if cut else "stop", **counts))
    return lines


def _line(
    body: dict[str, Any],
    text: str,
    *,
    chat: bool,
    thinking: str = "",
    calls: list[tuple[int, tuple[str, dict[str, Any]]]] | None = None,
    done: bool = False,
    **more: Any,
) -> dict[str, Any]:
    line: dict[str, Any] = {"model": body["model"], "created_at": WHEN}
    if chat:
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if thinking:
            message["thinking"] = thinking
        if calls:
            message["tool_calls"] = [
                {"function": {"index": index, "name": name, "arguments": arguments}}
                for index, (name, arguments) in calls
            ]
        line["message"] = message
    else:
        line["response"] = text
        if thinking:
            line["thinking"] = thinking
    return {**line, "done": done, **more}


def _whole(lines: list[dict[str, Any]], *, chat: bool) -> dict[str, Any]:
    for line in lines:
        if "error" in line:
            raise RefusedError(500, line["error"])
    last = dict(lines[-1])
    if not chat:
        return {**last, "response": "".join(line["response"] for line in lines)}
    message = {"role": "assistant", "content": "".join(line["message"]["content"] for line in lines)}
    thinking = "".join(line["message"].get("thinking", "") for line in lines)
    calls = [call for line in lines for call in line["message"].get("tool_calls", ())]
    if thinking:
        message["thinking"] = thinking
    if calls:
        message["tool_calls"] = calls
    return {**last, "message": message}


__all__ = ["VERSION", "FakeOllama", "Model", "RefusedError", "Said", "ndjson"]
