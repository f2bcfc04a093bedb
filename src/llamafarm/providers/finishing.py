"""Reads the words in which servers say why an answer ended: some are OpenAI's in other clothes, some mean no end."""

from __future__ import annotations

__all__ = ["finish_of", "is_interruption"]

_WORDS = {
    # Together and TGI
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    # Mistral; Zhipu and Z.ai
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "sensitive": "content_filter",
}
_INTERRUPTIONS = frozenset(
    {
        "error",  # Mistral, vLLM; OpenRouter: its own upstream failed
        "abort",  # vLLM and SGLang
        "aborted",
        "insufficient_system_resource",  # DeepSeek
        "network_error",  # Zhipu and Z.ai
        "function_call_filter",  # Gemini: the model's call of a tool could not be read, and is left out
    }
)


def finish_of(word: str) -> str:
    """Give OpenAI's word for a server's; one that is not known stays as it is.

    Gemini puts its own behind OpenAI's: ``content_filter: SAFETY``.
    """
    known = word.partition(":")[0].strip().lower()
    if known == "content_filter":
        return known
    return _WORDS.get(known, word)


def is_interruption(word: str | None) -> bool:
    """Whether a finish reason says that the answer was broken off: what came is not the whole of it."""
    return word is not None and word.partition(":")[0].strip().lower() in _INTERRUPTIONS
