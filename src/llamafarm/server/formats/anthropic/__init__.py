"""Anthropic's Messages API: requests, answers, streams, the number of a prompt's tokens, the list of models."""

from llamafarm.server.formats.anthropic.messages import CountTokens, Messages
from llamafarm.server.formats.anthropic.models import Listed, model_of, models_page

__all__ = ["CountTokens", "Listed", "Messages", "model_of", "models_page"]
