"""What may stand in the `config` of a `fine_tuner` or a `repository`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Gt, Interval, Len

from llamafarm.spec.formats import Format, Most
from llamafarm.types import Secret

__all__ = ["REPOSITORY_TYPES", "TUNER_TYPES", "BaseModel", "Method", "RepositoryConfig", "Training", "TunerConfig"]

TUNER_TYPES = ("pytorch", "llamafactory", "custom")
REPOSITORY_TYPES = ("huggingface", "local")

Positive = Annotated[int, Gt(0), Most(1_000_000)]
Amount = Annotated[float, Gt(0), Most(1_000_000)]
Path = Annotated[str, Format("path")]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseModel:
    """The model that is tuned."""

    huggingface_id: Annotated[str, Len(1)]
    cache_dir: Path | None = None
    torch_dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """How it is tuned."""

    type: Literal["lora", "qlora", "full"] = "lora"
    r: Positive = 16
    alpha: Amount = 32
    dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    target_modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """For how long and how fast."""

    batch_size: Positive = 4
    learning_rate: Amount = 2e-4
    num_epochs: Amount = 3
    gradient_accumulation_steps: Positive = 1
    warmup_ratio: Annotated[float, Interval(ge=0, le=1)] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TunerConfig:
    """`pytorch`, `llamafactory`, `custom`."""

    base_model: BaseModel
    method: Method = field(default_factory=Method)
    training: Training = field(default_factory=Training)
    dataset: Path | None = None
    eval_dataset: Path | None = None
    export: Literal["gguf", "safetensors", "adapter"] | None = None
    launcher: Literal["local", "torchrun", "accelerate", "ray"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryConfig:
    """`huggingface`, `local`."""

    token: Secret | None = None
    cache_dir: Path | None = None
    private: bool = False
    push_to_hub: bool = False
    hub_model_id: str | None = None
    hub_strategy: Literal["every_save", "checkpoint", "end"] = "end"
