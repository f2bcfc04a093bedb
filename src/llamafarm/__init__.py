"""One YAML file of strategies decides where every prompt goes; this library carries it out.

::

    from llamafarm import Farm

    with Farm.load(strategy="local_development") as farm:
        answer = farm.run(farm.generate("What is the capital of France?"))
        print(answer.text)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamafarm.errors import AllFailedError, ConfigError, LlamaFarmError, RefusedError, StreamCutError
    from llamafarm.farm import AnswerStream, Embeddings, Farm, Image, Images, Options
    from llamafarm.types import Answer, Choice, Chunk, Usage

__version__ = "0.1.0"

__all__ = [
    "AllFailedError",
    "Answer",
    "AnswerStream",
    "Choice",
    "Chunk",
    "ConfigError",
    "Embeddings",
    "Farm",
    "Image",
    "Images",
    "LlamaFarmError",
    "Options",
    "RefusedError",
    "StreamCutError",
    "Usage",
]

_HOMES = {
    "AllFailedError": "errors",
    "Answer": "types",
    "AnswerStream": "farm",
    "Choice": "types",
    "Chunk": "types",
    "ConfigError": "errors",
    "Embeddings": "farm",
    "Farm": "farm",
    "Image": "farm",
    "Images": "farm",
    "LlamaFarmError": "errors",
    "Options": "farm",
    "RefusedError": "errors",
    "StreamCutError": "errors",
    "Usage": "types",
}


def __getattr__(name: str) -> Any:
    """Import a public name's module when the name is first used, so that importing the package costs little."""
    if name not in _HOMES:
        raise AttributeError(f"module 'llamafarm' has no attribute {name!r}")
    return getattr(import_module(f"llamafarm.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
