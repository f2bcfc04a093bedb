"""OpenAI's API: chat completions, legacy completions, embeddings, images, the list of models."""

from llamafarm.server.formats.openai.chat import Chat
from llamafarm.server.formats.openai.completions import Completions
from llamafarm.server.formats.openai.embeddings import Embeddings
from llamafarm.server.formats.openai.images import Images
from llamafarm.server.formats.openai.models import Model, model_list, one_model

__all__ = ["Chat", "Completions", "Embeddings", "Images", "Model", "model_list", "one_model"]
