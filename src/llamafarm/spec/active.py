"""Which keys have no behaviour in this version, so that a file that gives one is told."""

from __future__ import annotations

from collections.abc import Iterator

from llamafarm.errors import Severity
from llamafarm.spec.assemble import Draft
from llamafarm.spec.components import AppConfig, CloudConfig
from llamafarm.spec.document import Places
from llamafarm.spec.nodes import Scalar, Sequence, child, is_null
from llamafarm.spec.problems import Problems

__all__ = ["is_active", "note_inactive"]

_TOP = ("store",)
_STRATEGY = (
    "optimization.cache_enabled",
    "optimization.cache_ttl",
    "optimization.cache_sampling",
    "optimization.cache_size",
    "optimization.semantic_cache",
    "optimization.batch_timeout",
    "monitoring.log_content",
    "monitoring.metrics_enabled",
    "monitoring.metrics_port",
    "monitoring.metrics_host",
    "monitoring.trace_enabled",
    "monitoring.trace_sample_rate",
    "monitoring.otlp_endpoint",
    "monitoring.retention",
    "monitoring.alerts",
    "constraints.daily_budget",
    "constraints.monthly_budget",
    "constraints.on_budget",
    "constraints.budget_alert",
)
_TARGET = ("rate_limit",)
_APP = ("auto_start", "adapters", "ttl", "preload", "memory_limit", "binary", "args")
_SERVER_APP = ("gpu_layers", "cpu_threads", "context_size")
"""Active for the embedded engine, and for Ollama, which is told them with every request."""
_SERVER_MODEL = ("pull_on_start", "source", "sha256")
"""Active for the embedded engine only: of an entry of `models`."""
_WHOLE_KINDS = ("tuner", "repository")
_NO_EFFECT = "not yet active in this version: it changes nothing"
_MESSAGES = {
    "constraints.daily_budget": "budgets are not kept yet: until they are, this strategy refuses to send",
    "constraints.monthly_budget": "budgets are not kept yet: until they are, this strategy refuses to send",
}


def is_active(key: str) -> bool:
    """Tell whether a key of `keys` has its behaviour in this version, for at least one type it can stand in."""
    return not any(key == entry or key.startswith((f"{entry}.", f"{entry}[", f"{entry}{{")) for entry in _inactive())


def _inactive() -> Iterator[str]:
    yield from _TOP
    yield from (f"strategies[].{entry}" for entry in _STRATEGY)
    config = "strategies[].components{}.config"
    for kind in ("cloud", "app"):
        yield from (f"{config}<{kind}>.{entry}" for entry in _TARGET)
    yield from (f"{config}<app>.{entry}" for entry in _APP)
    yield from (f"{config}<{kind}>" for kind in _WHOLE_KINDS)


def note_inactive(drafts: list[Draft], problems: Problems, places: Places) -> None:
    """Note each given key that has no behaviour yet, as an info."""
    for name in _TOP:
        _note((name,), name, problems, places)
    for draft in drafts:
        for entry in _STRATEGY:
            _note(("strategies", draft.index, *entry.split(".")), entry, problems, places)
        for name, part in draft.components.items():
            where = ("strategies", draft.index, "components", name)
            _note_part(where, part.type, part.config, problems, places)
        for at, step in draft.entries.items():
            _note_part(("strategies", draft.index, "fallback_chain", at), step.type, step.config, problems, places)


def _note_part(
    where: tuple[str | int, ...], part_type: str, config: object, problems: Problems, places: Places
) -> None:
    own_type = places.key(*where, "type")
    own = isinstance(own_type.value, Scalar) and own_type.value.text == part_type if own_type is not None else False
    if not isinstance(config, CloudConfig | AppConfig):
        if own:
            _note((*where, "type"), "type", problems, places, f"{part_type} is not yet active in this version")
        return
    for entry in _TARGET:
        _note((*where, "config", entry), entry, problems, places)
    if isinstance(config, AppConfig):
        _note_app((*where, "config"), part_type, config, problems, places)


def _note_app(where: tuple[str | int, ...], app: str, config: AppConfig, problems: Problems, places: Places) -> None:
    for entry in _APP:
        _note((*where, entry), entry, problems, places)
    if app == "llamacpp" and config.engine != "server" and config.base_url is None:
        return
    if config.engine == "server":
        _note((*where, "engine"), "engine", problems, places, "engine server is not yet active in this version")
    for entry in _SERVER_APP if app != "ollama" else ():
        _note((*where, entry), entry, problems, places)
    models = places.key(*where, "models")
    for index in range(len(models.value.items) if models is not None and isinstance(models.value, Sequence) else 0):
        for entry in _SERVER_MODEL:
            _note((*where, "models", index, entry), entry, problems, places)


def _note(
    where: tuple[str | int, ...], entry: str, problems: Problems, places: Places, message: str | None = None
) -> None:
    key = places.key(*where)
    if key is None or is_null(key.value):
        return
    path = ""
    for part in where:
        path = child(path, part)
    problems.add(Severity.INFO, "not-yet-active", key.place, path, message or _MESSAGES.get(entry, _NO_EFFECT))
