"""The errors that no single key can have: names given twice, keys that exclude each other, privacy against reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations

from llamafarm.spec.assemble import Draft, FileDraft
from llamafarm.spec.build import Builder
from llamafarm.spec.components import AppConfig, CloudConfig
from llamafarm.spec.document import Places
from llamafarm.spec.formats import is_local_address
from llamafarm.spec.nodes import child
from llamafarm.spec.strategy import Constraints, LoadBalancing, Monitoring, ServerSettings
from llamafarm.spec.targets import check_names, check_targets
from llamafarm.spec.tuning import RepositoryConfig
from llamafarm.spec.unread import Unread

__all__ = ["check"]

Problem = tuple[str, str, str]
"""A code, a path and a message."""


def check(draft: FileDraft, builder: Builder, places: Places) -> None:
    """Note every error that concerns more than one key."""
    unread = builder.unread
    found = [*_doubled_strategies(draft.drafts), *_ports(draft.drafts, places, unread), *_store(draft)]
    found += _server(draft, builder.unread)
    for strategy in draft.drafts:
        check_targets(strategy, builder, places)
        check_names(strategy, builder, places)
        found += [*_doubled_entries(strategy), *_configs(strategy, unread), *_balancing(strategy, unread)]
        found += [*_alerts(strategy), *_privacy(strategy)]
    for code, path, message in found:
        builder.problems.error(code, places.place(path), path, message)


def _doubled(named: Iterable[tuple[str, str]]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for path, name in named:
        if name and name in first:
            yield "duplicate-name", child(path, "name"), f"{first[name]} is called {name} already: names are unique"
        first.setdefault(name, path)


def _doubled_strategies(drafts: list[Draft]) -> Iterator[Problem]:
    return _doubled((draft.path, draft.name) for draft in drafts)


def _doubled_entries(draft: Draft) -> Iterator[Problem]:
    chain = child(draft.path, "fallback_chain")
    return _doubled((child(chain, at), entry.name) for at, entry in draft.entries.items())


def _configs(draft: Draft, unread: Unread) -> Iterator[Problem]:
    for path, config_type, config in _serving(draft):
        where = child(path, "config")
        addressed = not isinstance(config, CloudConfig) or config.provider != "custom" or config.base_url is not None
        if not addressed and not unread.touches(child(where, "base_url")):
            yield "missing-key", where, "`base_url` is missing: provider custom needs one"
        if isinstance(config, AppConfig):
            yield from _app(where, config_type, config)


def _app(path: str, app: str, config: AppConfig) -> Iterator[Problem]:
    if config.engine is not None and app != "llamacpp":
        yield "key-not-for-type", child(path, "engine"), f"engine is for llamacpp, not for {app}"
    if config.engine == "embedded" and config.base_url is not None:
        message = "the embedded engine runs in this process: remove base_url, or say engine: server"
        yield "key-not-for-type", child(path, "base_url"), message
    is_file = config.default_model is not None and config.default_model.endswith(".gguf")
    if is_file and app != "llamacpp":
        yield (
            "key-not-for-type",
            child(path, "default_model"),
            f"a GGUF file is for llamacpp; {app} needs a model's name",
        )
    models = child(path, "models")
    named = [(child(models, at), model.name) for at, model in enumerate(config.models)]
    yield from _doubled(named)


def _serving(draft: Draft) -> Iterator[tuple[str, str, object]]:
    components = child(draft.path, "components")
    for name, part in draft.components.items():
        yield child(components, name), part.type, part.config
    chain = child(draft.path, "fallback_chain")
    for at, entry in draft.entries.items():
        if entry.component is None or draft.components[entry.component].config != entry.config:
            yield child(chain, at), entry.type, entry.config


def _balancing(draft: Draft, unread: Unread) -> Iterator[Problem]:
    balancing = draft.values.get("load_balancing")
    path = child(draft.path, "load_balancing")
    if not isinstance(balancing, LoadBalancing):
        return
    known = not any(unread.touches(child(path, name)) for name in ("targets", "weights"))
    if known and bool(balancing.targets) == bool(balancing.weights):
        given = "both are given" if balancing.targets else "neither is given"
        yield "targets-or-weights", path, f"load balancing has either targets or weights: {given}"
    if known and balancing.weights and not sum(balancing.weights.values()):
        yield "out-of-range", child(path, "weights"), "expected a weight above 0 for at least one target"
    if balancing.weights and balancing.policy != "weighted" and not unread.touches(child(path, "policy")):
        yield (
            "targets-or-weights",
            child(path, "policy"),
            f"weights go with policy weighted; {balancing.policy} takes targets",
        )


def _alerts(draft: Draft) -> Iterator[Problem]:
    monitoring = draft.values.get("monitoring")
    if not isinstance(monitoring, Monitoring):
        return
    path = child(child(draft.path, "monitoring"), "alerts")
    for index, alert in enumerate(monitoring.alerts):
        if alert.type != "latency" and alert.threshold > 1:
            message = f"expected a share from 0 to 1 for {alert.type}, found the number {alert.threshold:g}"
            yield "out-of-range", child(child(path, index), "threshold"), message


def _ports(drafts: list[Draft], places: Places, unread: Unread) -> Iterator[Problem]:
    first: tuple[str, int] | None = None
    for draft in drafts:
        monitoring = draft.values.get("monitoring")
        if not isinstance(monitoring, Monitoring) or not monitoring.metrics_enabled:
            continue
        port = child(child(draft.path, "monitoring"), "metrics_port")
        if places.key("strategies", draft.index, "monitoring", "metrics_port") is None or unread.touches(port):
            continue
        if first is None:
            first = (draft.name, monitoring.metrics_port)
        elif first[1] != monitoring.metrics_port:
            message = f"metrics have one port for the whole process, and strategy {first[0]} says {first[1]}"
            yield "metrics-ports-differ", port, message


def _mode(draft: Draft) -> str:
    constraints = draft.values.get("constraints")
    return constraints.privacy_mode if isinstance(constraints, Constraints) else "public"


def _store(draft: FileDraft) -> Iterator[Problem]:
    store = draft.values.get("store")
    private = [strategy.name for strategy in draft.drafts if _mode(strategy) == "local_only"]
    if isinstance(store, str) and private and not is_local_address(store):
        yield "remote-under-local-only", "store", f"a store on another machine, and strategy {private[0]} is local_only"


def _server(draft: FileDraft, unread: Unread) -> Iterator[Problem]:
    server = draft.values.get("server")
    if not isinstance(server, ServerSettings) or unread.touches("server"):
        return
    pair = {"tls_certificate": server.tls_certificate, "tls_key": server.tls_key}
    for name, other in permutations(pair):
        if pair[name] is None and pair[other] is not None:
            yield "missing-key", child("server", other), f"`{name}` is missing: TLS needs the certificate and its key"


def _privacy(draft: Draft) -> Iterator[Problem]:
    mode = _mode(draft)
    monitoring = draft.values.get("monitoring")
    if isinstance(monitoring, Monitoring) and mode != "public":
        path = child(draft.path, "monitoring")
        if monitoring.log_content:
            message = f"prompts and answers cannot be logged under privacy_mode {mode}"
            yield "private-log-content", child(path, "log_content"), message
        if mode == "local_only":
            yield from _exporters(path, monitoring)
    if mode == "local_only":
        components = child(draft.path, "components")
        for name, part in draft.components.items():
            if isinstance(part.config, RepositoryConfig) and part.config.push_to_hub:
                where = child(child(child(components, name), "config"), "push_to_hub")
                yield "remote-under-local-only", where, "nothing is uploaded under privacy_mode local_only"


def _exporters(path: str, monitoring: Monitoring) -> Iterator[Problem]:
    endpoint = monitoring.otlp_endpoint
    if endpoint is not None and not is_local_address(endpoint):
        message = "traces cannot go to another machine under privacy_mode local_only"
        yield "remote-under-local-only", child(path, "otlp_endpoint"), message
    for index, alert in enumerate(monitoring.alerts):
        if alert.webhook is not None and not is_local_address(alert.webhook):
            where = child(child(child(path, "alerts"), index), "webhook")
            yield "remote-under-local-only", where, "alerts cannot go to another machine under privacy_mode local_only"
