"""What may stand in a component's `config`: cloud providers and local applications. Keys are fields, one to one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval, Len

from llamafarm.spec.formats import MOST_BYTES, Format, Most, Unit
from llamafarm.types import Recovery, Secret

__all__ = [
    "APP_TYPES",
    "CLOUD_TYPES",
    "EMBEDDED_CONTEXT",
    "OLLAMA_CONTEXT",
    "AppConfig",
    "AppModel",
    "CloudConfig",
    "Defaults",
    "ModelOverrides",
    "PriceRow",
    "RateLimit",
    "ServingConfig",
]

CLOUD_TYPES = ("openai_compatible",)
APP_TYPES = ("ollama", "llamacpp", "vllm", "tgi")
EMBEDDED_CONTEXT = 4096
"""Tokens the embedded engine loads a model with where `context_size` is not given: more would cost memory that few
prompts need. A model made for fewer gets those."""
OLLAMA_CONTEXT = 4096
"""Tokens Ollama is asked to load a model with where neither `context_window` nor `context_size` is given: what it takes
by itself on a machine with less than 24 GB of video memory. It is always sent, so that the window is a known one."""

WEEK, TEN_YEARS = 604_800, 315_360_000
"""Seconds."""
Tokens = Annotated[int, Gt(0), Most(10**9)]
Count = Annotated[int, Gt(0), Most(10_000)]
Seconds = Annotated[float, Gt(0), Most(WEEK), Unit("seconds")]
Pause = Annotated[float, Ge(0), Most(WEEK), Unit("seconds")]
Age = Annotated[float, Gt(0), Most(TEN_YEARS), Unit("seconds")]
Dollars = Annotated[float, Interval(ge=0, le=1_000_000_000), Unit("dollars")]
"""Ten times more would not fit 64 bits as nanodollars."""
Rate = Annotated[float, Interval(ge=0, le=1_000_000_000), Unit("dollars per million tokens")]
Source = Annotated[str, Format("source")]
Ability = Literal["vision", "tools", "json", "audio", "image", "embedding", "reasoning", "prefill", "fim"]
Size = Annotated[str, Format("size")] | Annotated[int, Gt(0), Most(MOST_BYTES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """What a model costs, in dollars per million tokens."""

    input: Rate
    output: Rate
    cached_input: Rate | None = None
    cache_write: Rate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """The most a target is asked for in a minute."""

    requests: Annotated[int, Gt(0), Most(10**9)] | None = None
    tokens: Tokens | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Request parameters that apply where the caller says nothing."""

    temperature: Annotated[float, Interval(ge=0, le=2)] | None = None
    top_p: Annotated[float, Interval(ge=0, le=1)] | None = None
    top_k: Annotated[int, Ge(0), Most(10**9)] | None = None
    max_tokens: Tokens | None = None
    stop: str | tuple[str, ...] | None = None
    seed: Annotated[int, Most(2**63 - 1)] | None = None
    frequency_penalty: Annotated[float, Interval(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[float, Interval(ge=-2, le=2)] | None = None
    reasoning_effort: str | None = None
    system_prompt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOverrides(Defaults):
    """What differs for one model of a component."""

    price: PriceRow | None = None
    context_window: Tokens | None = None
    """Tokens of prompt and answer together."""
    supports: tuple[Ability, ...] | None = None
    """Abilities: `image` makes pictures, `vision` sees them; `prefill` goes on from a given beginning, `fim` fills in
    the middle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingConfig(ModelOverrides):
    """What every target that answers requests has."""

    base_url: Annotated[str, Format("endpoint")] | None = None
    """Where it answers: http(s)://, or unix:/path for a socket."""
    api_key: Secret | None = None
    """Written as ${VARIABLE} or ${file:/run/secrets/name}."""
    default_model: Annotated[str, Len(1)] | None = None
    timeout: Seconds = 60.0
    """Seconds one attempt may take to its whole reply, or to a stream's first token."""
    max_retries: Annotated[int, Ge(0), Most(10_000)] | None = None
    """Tries after the first. None: the strategy's `retry_policy` applies."""
    retry_delay: Pause | None = None
    """Seconds before the first retry. None: 1 s where `max_retries` is given, else the strategy's `retry_policy`."""
    rate_limit: RateLimit | None = None
    ttft_timeout: Seconds | None = None
    """Seconds to a stream's first token. None: the strategy's applies; so for the three below."""
    stream_idle_timeout: Seconds | None = None
    stream_recovery: Recovery | None = None
    hedge_after: Literal["p95", "off"] | Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudConfig(ServingConfig):
    """`openai_compatible`: a vendor's row, or `custom` with a `base_url`."""

    provider: Annotated[str, Format("vendor")]
    """A vendor's name, or `custom`."""
    models: dict[str, ModelOverrides] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppModel(ModelOverrides):
    """A model that an application serves."""

    name: Annotated[str, Len(1)]
    pull_on_start: bool = False
    source: Source | tuple[Source, ...] | None = None
    """One place or a list of places for one file: `hf:`, `pypi:`, `https:`, `file:` or a path."""
    sha256: Annotated[str, Format("sha256")] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA adapter on top of a base model."""

    name: Annotated[str, Len(1)]
    source: Source
    scale: Annotated[float, Ge(0), Most(1000)] = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AppConfig(ServingConfig):
    """`ollama`, `llamacpp`, `vllm`, `tgi`: an application of this machine, or one elsewhere (only connected to)."""

    default_model: Annotated[str, Format("model")] | None = None
    auto_start: bool = False
    models: tuple[AppModel, ...] = ()
    gpu_layers: Annotated[int, Ge(-1), Most(10_000)] | None = None
    """-1: all."""
    cpu_threads: Count | None = None
    context_size: Tokens | None = None
    engine: Literal["embedded", "server"] | None = None
    """`llamacpp` only. None: embedded where no `llama-server` is on the path and no `base_url` is given."""
    adapters: tuple[Adapter, ...] = ()
    ttl: Annotated[float, Ge(0), Most(TEN_YEARS), Unit("seconds")] | None = None
    """Seconds without a request after which a model is unloaded."""
    preload: bool = False
    memory_limit: Size | None = None
    """Bytes, or a text that `sizes.parse_bytes` reads."""
    binary: Annotated[str, Format("program")] | None = None
    args: tuple[str, ...] = ()
