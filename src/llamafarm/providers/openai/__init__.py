"""OpenAI's format: its requests, answers and streams, and how vendors deviate from it."""

__all__: list[str] = []
