"""What the embedded engine's complaints mean in our error tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llamafarm.errors import BadRequestError, ContextExceededError, EngineError, LlamaFarmError

if TYPE_CHECKING:
    from llamafarm.types import Target

__all__ = ["failure_of_event", "failure_of_exception"]

_CLIENT, _SERVER = 400, 500
_TOO_LONG = "too large to process"


def failure_of_event(error: dict[str, Any], target: Target) -> LlamaFarmError:
    """Tell what an ``error`` object stands for."""
    message = str(error.get("message", "no reason given"))
    kind = str(error.get("type", ""))
    code = error.get("code")
    status = code if isinstance(code, int) else _SERVER
    if kind == "exceed_context_size_error" or _TOO_LONG in message:
        return ContextExceededError(
            f"{target.name} ({target.model}): {message}; shorten the prompt or raise context_size",
            upstream_status=_CLIENT,
            code=kind,
        )
    if _CLIENT <= status < _SERVER:
        return BadRequestError(f"{target.name} ({target.model}): {message}", upstream_status=status, code=kind)
    return EngineError(f"{target.name} ({target.model}): the engine failed: {message}")


def failure_of_exception(error: Exception, target: Target) -> LlamaFarmError:
    """Tell what an exception of the library stands for: it raises for requests it cannot read or carry out."""
    if isinstance(error, MemoryError):
        return EngineError(f"{target.name} ({target.model}): not enough memory for this request")
    return BadRequestError(f"{target.name} ({target.model}): {error}")
