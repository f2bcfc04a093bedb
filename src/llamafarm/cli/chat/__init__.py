"""``chat``: a conversation, turn by turn."""

from llamafarm.cli.chat.command import chat

__all__ = ["chat"]
