"""The gateway: every OpenAI or Anthropic client, through a strategy file."""

__all__: list[str] = []
