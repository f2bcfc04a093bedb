"""Anthropic's Messages format, translated from and to OpenAI's."""

__all__: list[str] = []
