"""Several processes that serve as one: a parent that keeps them going, and what they share."""

from llamafarm.server.workers.supervisor import supervise

__all__ = ["supervise"]
