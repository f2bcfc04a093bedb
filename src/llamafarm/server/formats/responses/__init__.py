"""OpenAI's Responses API over chat calls, without keeping anything: every request brings its whole conversation."""

from llamafarm.server.formats.responses.format import Responses

__all__ = ["Responses"]
