"""Ollama's native API, translated from and to OpenAI's format."""

__all__: list[str] = []
