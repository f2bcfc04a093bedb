"""Where a request can go: what it charges, what it can do, how it is reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.types.secret import Secret

__all__ = ["Operation", "Price", "PriceTier", "Recovery", "Target"]


class Operation(StrEnum):
    """What is asked of a model; the body of a call has OpenAI's format for it."""

    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDING = "embedding"
    IMAGE = "image"


Recovery = Literal["error", "continue", "buffer"]
"""What becomes of a stream that is cut: an error; another target goes on; nothing is passed on before it is whole."""


@dataclass(frozen=True, slots=True)
class Price:
    """What a target charges, in nanodollars per million tokens ($1 per million is 1_000_000_000)."""

    input: int
    output: int
    cached_input: int | None = None
    """Input tokens read from the vendor's cache; None: as `input`."""
    cache_write: int | None = None
    """Input tokens written to the vendor's cache; None: as `input`."""
    request: int = 0
    """Nanodollars for each request, on top of its tokens."""
    tiers: tuple[PriceTier, ...] = ()
    """What long prompts cost, lowest threshold first."""


@dataclass(frozen=True, slots=True)
class PriceTier:
    """What a target charges for all tokens of a request whose prompt is longer than `above`; units as in `Price`."""

    above: int
    """Input tokens, the cached ones among them."""
    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One place a request can go: a provider or application, its settings, and a model."""

    name: str
    """As the file says it: a chain entry's name, else a component's, else a model's."""
    provider: str
    """The vendor's row (``openai``, ``groq``, ``custom``) or the application's type (``ollama``, ``llamacpp``)."""
    dialect: str
    """The provider module that speaks to it: ``openai``, ``embedded`` …"""
    model: str
    local: bool = False
    """Whether it is a model application on this machine. A rule to a local target keeps only local ones behind it."""
    component: str = ""
    """The component it comes from; empty for a chain entry with a type of its own."""
    base_url: str | None = None
    api_key: Secret | None = None
    headers: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Sent with every request; ``{key}`` in a value stands for the API key."""
    quirks: frozenset[str] = frozenset()
    """Deviations of the vendor from its dialect, by the words the provider module documents."""
    timeout: float = 60.0
    """Seconds one attempt may take to its whole reply, or to a stream's first token."""
    max_retries: int | None = None
    """Tries after the first; None: the strategy's retry policy."""
    retry_delay: float | None = None
    """Seconds before the first retry; None: the strategy's retry policy, or 1 where `max_retries` is given."""
    ttft_timeout: float | None = None
    """Seconds to a stream's first token; None: the strategy's."""
    stream_idle_timeout: float | None = None
    """Seconds a stream may stay silent; None: the strategy's."""
    stream_recovery: Recovery | None = None
    """What becomes of a stream that is cut; None: the strategy's."""
    hedge_after: Literal["p95", "off"] | float | None = None
    """When the next target is asked too, in seconds; None: the strategy's."""
    defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Request parameters that apply where the caller says nothing (``temperature``, ``system_prompt`` …)."""
    price: Price | None = None
    bounded: bool = True
    """Whether tokens and requests are all it bills."""
    context_window: int | None = None
    """Tokens of prompt and answer together; None: unknown."""
    max_output: int | None = None
    """The most tokens the model can answer with; None: unknown."""
    supports: frozenset[str] | None = None
    """Abilities: vision, tools, json, audio, image, prefill, fim …; None: unknown, so nothing is ruled out."""
    system_tokens: int = 0
    """Tokens of its own `system_prompt`, estimated."""
    operations: frozenset[Operation] = frozenset(Operation)
    """What it can be asked for at all."""
    prefill: str | None = None
    """How it goes on from a given beginning (`catalog.Prefill.how`); None: it cannot."""
    prefill_url: str | None = None
    """Where it does, if not at `base_url`."""
    fim: str | None = None
    """How it fills a gap between a prompt and a suffix (`catalog.Fim.how`); None: it cannot."""
    fim_url: str | None = None
    """Where it does, if not at `base_url`."""
    privacy: str = "public"
    """The strategy's `privacy_mode`."""
    settings: Any = field(default=None, hash=False)
    """An application's own part of the file (`spec.AppConfig`), for the module that runs it."""
    barred: tuple[str, ...] = ()
    """Why it can take no request at all: a constraint, a missing key … Empty: it can."""
    sources: tuple[str, ...] = ()
    """Where a file of one's own has the model's file: two files under one name are two models."""
    identity: tuple[object, ...] = field(init=False, compare=False)
    """What makes two targets the same one: endpoint, key and model."""

    def __post_init__(self) -> None:
        identity = (self.dialect, self.base_url, self.api_key, self.model, self.sources)
        object.__setattr__(self, "identity", identity)
