"""Turns components and chain entries into targets, with the vendor's row, the price and the key filled in."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from llamafarm import catalog
from llamafarm.planning.addresses import is_loopback
from llamafarm.planning.money import FREE
from llamafarm.spec.components import (
    EMBEDDED_CONTEXT,
    OLLAMA_CONTEXT,
    AppConfig,
    AppModel,
    CloudConfig,
    Defaults,
    ModelOverrides,
    PriceRow,
)
from llamafarm.tokens import estimate
from llamafarm.types import Operation, Price, Secret, Target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llamafarm.spec.strategy import ChainEntry, Component

__all__ = ["component_targets", "entry_target"]

_PORTS = {"http": 80, "https": 443}
SYSTEM_EXTRA = 4
"""Tokens that a chat template puts around a message, as `conditions.Input` counts them."""
_LOADED_WITH = {"embedded": EMBEDDED_CONTEXT, "ollama": OLLAMA_CONTEXT}
"""Applications this program tells how many tokens to load a model with, and how many where the file does not say."""
_DEFAULT_FIELDS = tuple(f.name for f in dataclasses.fields(Defaults))


def component_targets(component: Component, environment: Mapping[str, str]) -> tuple[Target, ...]:
    """Make the targets of a serving component: itself first, then each of its `models` by the model's name."""
    config = component.config
    if not isinstance(config, CloudConfig | AppConfig):
        return ()
    main = _target(component.name, component.type, config, environment, component=component.name)
    models = tuple(
        _target(name, component.type, config, environment, component=component.name, model=name)
        for name in _model_names(config)
    )
    return (main, *models)


def entry_target(entry: ChainEntry, environment: Mapping[str, str], base: Component | None = None) -> Target:
    """Make the target of a chain entry; `base` is the component it inherits from."""
    target = _target(entry.name, entry.type, entry.config, environment, component=entry.component or "")
    if base is not None and _is_at_anothers(entry.config, base.config):
        return dataclasses.replace(target, api_key=entry.config.api_key)
    return target


def _is_at_anothers(config: CloudConfig | AppConfig, base: object) -> bool:
    """Tell whether a config changes the vendor and inherits an address: that was given for the other vendor."""
    if not isinstance(config, CloudConfig) or not isinstance(base, CloudConfig) or config.base_url is None:
        return False
    return config.provider != base.provider and config.base_url == base.base_url


def _model_names(config: CloudConfig | AppConfig) -> tuple[str, ...]:
    if isinstance(config, CloudConfig):
        return tuple(config.models)
    return tuple(model.name for model in config.models)


def _overrides(config: CloudConfig | AppConfig, model: str) -> ModelOverrides | None:
    if isinstance(config, CloudConfig):
        return config.models.get(model)
    return next((row for row in config.models if row.name == model), None)


def _provider(component_type: str, config: CloudConfig | AppConfig) -> str:
    if isinstance(config, CloudConfig):
        return config.provider
    if component_type == "llamacpp" and is_embedded(config):
        return "embedded"
    return component_type


def is_embedded(config: AppConfig) -> bool:
    """Tell whether a `llamacpp` config means the engine in this process."""
    return config.engine == "embedded" or (config.engine is None and config.base_url is None)


def _target(  # every field of a target is decided here, once
    name: str,
    component_type: str,
    config: CloudConfig | AppConfig,
    environment: Mapping[str, str],
    *,
    component: str,
    model: str = "",
) -> Target:
    provider = _provider(component_type, config)
    vendor = catalog.find_vendor(provider) or catalog.CUSTOM
    model = model or config.default_model or next(iter(_model_names(config)), vendor.default_model)
    own = _overrides(config, model)
    row = catalog.find_model(provider, model)
    base_url = _normal((config.base_url or vendor.base_url or "").rstrip("/")) or None
    price = (own and own.price) or config.price
    defaults = _defaults(row, config, own)
    given = own.supports if own and own.supports is not None else config.supports
    prefill = _prefill(vendor, model, given)
    fim = _fim(vendor, model, given)
    return Target(
        name=name,
        provider=provider,
        dialect=vendor.dialect,
        model=model,
        local=isinstance(config, AppConfig) and (provider == "embedded" or is_loopback(base_url)),
        component=component,
        base_url=_with_path(base_url, vendor.path) if isinstance(config, AppConfig) else base_url,
        api_key=_key(config, vendor, environment),
        headers=vendor.headers,
        quirks=vendor.quirks_of(model),
        timeout=config.timeout,
        max_retries=config.max_retries,
        retry_delay=config.retry_delay,
        ttft_timeout=config.ttft_timeout,
        stream_idle_timeout=config.stream_idle_timeout,
        stream_recovery=config.stream_recovery,
        hedge_after=config.hedge_after,
        defaults=defaults,
        system_tokens=SYSTEM_EXTRA + estimate(defaults["system_prompt"]) if "system_prompt" in defaults else 0,
        price=_price(price)
        if price
        else (FREE if isinstance(config, AppConfig) else catalog.price_of(provider, model)),
        bounded=row is None or row.bounded or bool(price),
        context_window=(own and own.context_window) or config.context_window or _window(row, config, provider),
        max_output=row.max_output if row else None,
        supports=_supports(row, vendor, given),
        operations=frozenset(map(Operation, vendor.operations)),
        prefill=prefill.how if prefill else None,
        prefill_url=prefill.base_url if prefill and config.base_url is None else None,
        fim=fim.how if fim else None,
        fim_url=fim.base_url if fim and config.base_url is None else None,
        settings=config if isinstance(config, AppConfig) else None,
        sources=_sources(own),
    )


def _normal(url: str) -> str:
    """Write a URL as every other spelling of it is written, so that two targets with one address are seen to be one."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or "@" in parts.netloc:
        return url
    netloc = parts.netloc.lower().removesuffix(f":{_PORTS[parts.scheme]}")
    return urlunsplit(parts._replace(netloc=netloc))


def _sources(own: ModelOverrides | None) -> tuple[str, ...]:
    if not isinstance(own, AppModel) or own.source is None:
        return ()
    return (own.source,) if isinstance(own.source, str) else own.source


def _prefill(vendor: catalog.Vendor, model: str, given: tuple[str, ...] | None) -> catalog.Prefill | None:
    """Tell how a model goes on from a given beginning: as the file says where it lists abilities, else the vendor."""
    known = vendor.prefill_of(model)
    if given is None:
        return known
    return (known or catalog.Prefill(how="last_message")) if "prefill" in given else None


def _fim(vendor: catalog.Vendor, model: str, given: tuple[str, ...] | None) -> catalog.Fim | None:
    """Tell how a model fills in the middle: as the file says where it lists abilities, else the vendor."""
    known = vendor.fim_of(model)
    if given is None or vendor.dialect == "embedded":  # the engine in this process has no such call
        return known
    return (known or catalog.Fim(how=vendor.fim_how)) if "fim" in given else None


def _window(row: catalog.ModelRow | None, config: CloudConfig | AppConfig, provider: str) -> int | None:
    """Give the tokens a model has room for: those it was made for, or fewer where this program loads it with fewer."""
    known = row.context_window if row else None
    if provider not in _LOADED_WITH or not isinstance(config, AppConfig):
        return known
    loaded = config.context_size or _LOADED_WITH[provider]
    return loaded if known is None or config.context_size else min(loaded, known)


def _with_path(base_url: str | None, path: str) -> str | None:
    """Put an application's API path behind a base URL that names only the host."""
    if base_url is None or urlsplit(base_url).path.strip("/"):
        return base_url
    return base_url + path


def _key(config: CloudConfig | AppConfig, vendor: catalog.Vendor, environment: Mapping[str, str]) -> Secret | None:
    """Take the key the file gives, else the vendor's usual variable; None where no key is needed.

    A vendor's usual variable is only looked at for the vendor's own address, which is the file's where the vendor has
    none that is the same for all: a key goes nowhere that the file does not send it.
    """
    if config.api_key is not None:
        return config.api_key
    url = config.base_url
    if not vendor.key_variables or (url is not None and (vendor.base_url is not None or _is_anothers(url))):
        return None
    for variable in vendor.key_variables:
        if environment.get(variable):
            return Secret(environment[variable], variable)
    return None if is_loopback(url) else Secret(None, vendor.key_variables[0])


def _is_anothers(url: str) -> bool:
    """Tell whether an address is one that vendors of the table have for everybody: that of another vendor."""
    hosts = {urlsplit(vendor.base_url).hostname for vendor in catalog.all_vendors() if vendor.base_url}
    return not is_loopback(url) and urlsplit(url).hostname in hosts


def _price(row: PriceRow) -> Price:
    nano = catalog.dollars_to_nano
    return Price(
        input=nano(row.input),
        output=nano(row.output),
        cached_input=None if row.cached_input is None else nano(row.cached_input),
        cache_write=None if row.cache_write is None else nano(row.cache_write),
    )


def _defaults(
    row: catalog.ModelRow | None, config: CloudConfig | AppConfig, own: ModelOverrides | None
) -> dict[str, Any]:
    merged: dict[str, Any] = dict(row.defaults) if row else {}
    for source in (config, own):
        for name in _DEFAULT_FIELDS if source else ():
            value = getattr(source, name)
            if value is not None:
                merged[name] = list(value) if isinstance(value, tuple) else value
    return merged


def _supports(
    row: catalog.ModelRow | None, vendor: catalog.Vendor, given: tuple[str, ...] | None
) -> frozenset[str] | None:
    if given is not None:
        return frozenset(given)
    return row.supports if row else vendor.supports
