"""A strategy file as typed values: every key is a field of the same name, every default stands here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval, Len

from llamafarm.spec.components import (
    APP_TYPES,
    CLOUD_TYPES,
    Age,
    AppConfig,
    CloudConfig,
    Count,
    Dollars,
    Pause,
    Seconds,
    Size,
    Tokens,
)
from llamafarm.spec.formats import Format, Most, Unit
from llamafarm.spec.tuning import TUNER_TYPES, RepositoryConfig, TunerConfig
from llamafarm.types import Recovery

__all__ = [
    "Alert",
    "ChainEntry",
    "Component",
    "Constraints",
    "Kind",
    "LoadBalancing",
    "Monitoring",
    "Optimization",
    "RetryPolicy",
    "Rule",
    "ServerSettings",
    "Strategy",
    "StrategyFile",
]

Port = Annotated[int, Interval(ge=1, le=65535)]
Share = Annotated[float, Interval(ge=0, le=1)]
Name = Annotated[str, Len(1)]
Kind = Literal["cloud_api", "model_app", "fine_tuner", "repository"]
Priority = Literal["critical", "high", "normal", "low"]
PRIORITIES: dict[Priority, int] = {"critical": 100, "high": 10, "normal": 0, "low": -10}
"""What the words for a rule's priority count as beside whole numbers."""
Glob = Annotated[str, Format("glob")]
Address = Annotated[str, Format("http")]
Host = Annotated[str, Format("host")]
FilePath = Annotated[str, Format("path")]
Many = Annotated[int, Gt(0), Most(1_000_000)]
Config = CloudConfig | AppConfig | TunerConfig | RepositoryConfig
NOT_A_KEY = {"key": False}
"""Marks a field that the loader fills in and no file writes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A part a strategy is made of. Its kind follows from its type."""

    name: str = field(metadata=NOT_A_KEY)
    """The key it stands under."""
    type: str
    """A provider, an application, a tuner or a repository; its kind follows from it."""
    config: Config

    @property
    def kind(self) -> Kind:
        """What its type makes it."""
        return kind_of(self.type)

    @property
    def serves(self) -> bool:
        """Whether it answers requests."""
        return self.kind in ("cloud_api", "model_app")


def kind_of(component_type: str) -> Kind:
    """Tell which kind of component a type belongs to."""
    if component_type in CLOUD_TYPES:
        return "cloud_api"
    if component_type in APP_TYPES:
        return "model_app"
    return "fine_tuner" if component_type in TUNER_TYPES else "repository"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainEntry:
    """One step of the fallback chain, with its config merged over that of the component it names."""

    name: Name
    type: str
    """A component's type, resolved: `openai_compatible`, `ollama` …"""
    component: str | None = field(metadata=NOT_A_KEY)
    """The component the file's `type` named; None for an entry with a type of its own."""
    config: CloudConfig | AppConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One routing rule. `condition` compiles with `conditions.compile_condition`; the loader has checked it."""

    condition: Annotated[str, Format("condition")]
    target: Name
    priority: Priority | Annotated[int, Most(10**9)] = "normal"
    fallback: bool | None = None
    """None: the chain stays behind the target, but for a local target only the local ones."""

    @property
    def rank(self) -> int:
        """The priority as a number: higher is asked first, equal ones in file order."""
        return self.priority if isinstance(self.priority, int) else PRIORITIES[self.priority]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently one target is tried again."""

    max_attempts: Count = 2
    initial_backoff: Pause = 0.5
    backoff_multiplier: Annotated[float, Ge(1), Most(1000)] = 2.0
    max_backoff: Pause = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimization:
    """Time, retries, concurrency, caching, batching."""

    timeout_seconds: Seconds = 120.0
    parallel_requests: Count = 64
    queue_size: Annotated[int, Ge(0), Most(1_000_000)] = 256
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)
    ttft_timeout: Seconds | None = None
    """None: 13 s, 120 s for reasoning models."""
    stream_idle_timeout: Seconds | None = None
    """None: 15 s, 120 s for reasoning models."""
    stream_recovery: Recovery = "continue"
    hedge_after: Literal["p95", "off"] | Seconds | None = None
    failover_on: tuple[Literal["content_policy", "bad_request"], ...] = ()
    cache_enabled: bool = False
    cache_ttl: Age = 3600.0
    cache_sampling: bool = False
    cache_size: Size = "256 MB"
    """Bytes, or a text that `sizes.parse_bytes` reads."""
    semantic_cache: bool = False
    batch_size: Count = 1
    batch_timeout: Annotated[float, Ge(0), Most(3_600_000), Unit("milliseconds")] = 100.0
    """Milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Fires once when a threshold is passed and once when it no longer is."""

    type: Literal["latency", "error_rate", "budget"]
    threshold: Annotated[float, Gt(0), Most(10**9)]
    """Milliseconds (p95) for latency, else a share from 0 to 1."""
    window: Age = 300.0
    """Seconds."""
    webhook: Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """Logs, metrics, traces, alerts."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "WARNING"
    log_format: Literal["json", "text"] = "text"
    log_content: bool = False
    metrics_enabled: bool = False
    metrics_port: Port = 9090
    metrics_host: str | None = None
    trace_enabled: bool = False
    trace_sample_rate: Share = 1.0
    otlp_endpoint: Address | None = None
    retention: Annotated[int, Gt(0), Most(36_500)] = 30
    """Days."""
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """What a request may use, cost and reach. Checked before anything is sent."""

    max_tokens: Tokens | None = None
    max_input_tokens: Tokens | None = None
    max_output_tokens: Tokens | None = None
    max_cost_per_request: Dollars | None = None
    daily_budget: Dollars | None = None
    monthly_budget: Dollars | None = None
    on_budget: Literal["refuse", "cheapest", "local"] = "refuse"
    budget_alert: Share = 0.8
    allowed_models: tuple[Glob, ...] = ()
    """Globs; empty: all."""
    blocked_models: tuple[Glob, ...] = ()
    """Globs; a match wins over `allowed_models`."""
    requires_gpu: bool = False
    min_gpu_memory: Annotated[float, Ge(0), Most(1_000_000), Unit("gigabytes")] | None = None
    """Gigabytes (10^9 bytes)."""
    privacy_mode: Literal["public", "private", "local_only"] = "public"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancing:
    """How requests are spread; `targets` or `weights`, not both."""

    policy: Literal["weighted", "round_robin", "least_busy", "least_latency", "least_cost"]
    targets: tuple[str, ...] = ()
    weights: dict[str, Annotated[float, Ge(0), Most(10**9)]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One strategy: components, the order they are tried in, and the rules and limits they are under."""

    name: Name
    description: str = ""
    components: dict[str, Component] = field(default_factory=dict)
    fallback_chain: tuple[ChainEntry, ...] = ()
    routing_rules: tuple[Rule, ...] = ()
    load_balancing: LoadBalancing | None = None
    aliases: dict[str, str] = field(default_factory=dict)
    timezone: Annotated[str, Format("zone")] = "UTC"
    optimization: Optimization = field(default_factory=Optimization)
    monitoring: Monitoring = field(default_factory=Monitoring)
    constraints: Constraints = field(default_factory=Constraints)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The gateway's own settings: where it listens, who may come in, how much and how long it takes from whom."""

    host: Host = "127.0.0.1"
    """Where it listens. An address that other machines can reach needs keys."""
    port: Port = 8000
    keys: FilePath | None = None
    """The file of gateway keys. None: `keys.json` in `LLAMAFARM_HOME`. `llamafarm keys` writes it."""
    hosts: tuple[Host, ...] = ()
    """Names beside the loopback ones under which a gateway without keys may be asked: what a browser's page says in
    `Host` and `Origin`."""
    body_limit: Size = "10 MiB"
    """Bytes of a request's body, or a text that `sizes.parse_bytes` reads."""
    bodies_limit: Size = "512 MiB"
    """Bytes of the bodies of all requests in flight together, or a text as above."""
    header_limit: Size = "32 KiB"
    """Bytes of a request's first line and headers, or a text as above."""
    header_timeout: Seconds = 10.0
    """Seconds from a request's first byte to the end of its headers."""
    body_timeout: Seconds = 30.0
    """Seconds from the end of the headers to the end of the body."""
    idle_timeout: Seconds = 75.0
    """Seconds that a connection is kept open between two requests."""
    write_timeout: Seconds = 60.0
    """Seconds that a client may take nothing of its answer."""
    max_connections: Many = 4096
    """Connections open at a time."""
    max_requests: Many = 2048
    """Requests in flight at a time, streams included."""
    drain_delay: Pause = 0.0
    """Seconds between the signal to stop and the end of listening, for a load balancer to notice."""
    shutdown_grace: Pause = 30.0
    """Seconds that requests in flight then have to finish."""
    watch: bool = True
    """Whether the strategy file is read again when it changes."""
    tls_certificate: FilePath | None = None
    """A PEM file: the certificate and those between it and its root. Goes with `tls_key`."""
    tls_key: FilePath | None = None
    """A PEM file: the certificate's private key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyFile:
    """A whole file."""

    strategies: Annotated[tuple[Strategy, ...], Len(1)]
    version: Annotated[str, Format("version")] | None = None
    """The file's own semantic version; it selects nothing."""
    store: Annotated[str, Format("store")] | None = None
    server: ServerSettings = field(default_factory=ServerSettings)
