"""Which known word somebody meant who wrote an unknown one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

__all__ = ["Suggestions", "listed"]

_SYNONYMS: dict[str, tuple[str, ...]] = {
    "alerting": ("alerts",),
    "allow": ("allowed_models",),
    "allowlist": ("allowed_models",),
    "api_base": ("base_url",),
    "apikey": ("api_key",),
    "auth": ("api_key", "token"),
    "autostart": ("auto_start",),
    "backends": ("components",),
    "backoff": ("initial_backoff", "retry_delay"),
    "backoff_factor": ("backoff_multiplier",),
    "balancing": ("load_balancing",),
    "base_model_id": ("huggingface_id",),
    "block": ("blocked_models",),
    "blocklist": ("blocked_models",),
    "budget": ("daily_budget",),
    "cache": ("cache_enabled", "cache_dir"),
    "chain": ("fallback_chain",),
    "comment": ("description",),
    "completion": ("output",),
    "completion_cost": ("output",),
    "concurrency": ("parallel_requests",),
    "context": ("context_size", "context_window"),
    "context_length": ("context_size", "context_window"),
    "cost": ("price",),
    "cost_limit": ("max_cost_per_request",),
    "credentials": ("api_key",),
    "ctx_size": ("context_size",),
    "default": ("default_model",),
    "delay": ("retry_delay",),
    "deny": ("blocked_models",),
    "deny_list": ("blocked_models",),
    "desc": ("description",),
    "endpoint": ("base_url", "otlp_endpoint"),
    "epochs": ("num_epochs",),
    "expression": ("condition",),
    "fallback": ("fallback_chain",),
    "fallbacks": ("fallback_chain",),
    "format": ("log_format", "export"),
    "gpu": ("requires_gpu",),
    "gpu_memory": ("min_gpu_memory",),
    "grad_accum": ("gradient_accumulation_steps",),
    "hash": ("sha256",),
    "hedge": ("hedge_after",),
    "hf_token": ("token",),
    "hostname": ("host",),
    "id": ("name",),
    "if": ("condition",),
    "in": ("input",),
    "input_cost": ("input",),
    "input_price": ("input",),
    "kind": ("type",),
    "key": ("api_key", "token"),
    "level": ("log_level",),
    "limits": ("constraints",),
    "load_balancer": ("load_balancing",),
    "logging": ("monitoring", "log_level"),
    "loglevel": ("log_level",),
    "lora_alpha": ("alpha",),
    "lora_dropout": ("dropout",),
    "lora_r": ("r",),
    "loras": ("adapters",),
    "lr": ("learning_rate",),
    "match": ("condition",),
    "max_attempts": ("max_attempts", "max_retries"),
    "max_cost": ("max_cost_per_request",),
    "max_delay": ("max_backoff",),
    "metrics": ("metrics_enabled", "monitoring"),
    "mode": ("privacy_mode", "policy"),
    "model": ("default_model",),
    "model_id": ("default_model", "huggingface_id", "name"),
    "model_list": ("models",),
    "model_name": ("default_model", "name"),
    "multiplier": ("backoff_multiplier",),
    "n_ctx": ("context_size",),
    "n_gpu_layers": ("gpu_layers",),
    "ngl": ("gpu_layers",),
    "num_ctx": ("context_size",),
    "num_gpu": ("gpu_layers",),
    "num_thread": ("cpu_threads",),
    "observability": ("monitoring",),
    "order": ("fallback_chain", "priority"),
    "out": ("output",),
    "output_cost": ("output",),
    "output_price": ("output",),
    "params": ("config",),
    "parallelism": ("parallel_requests",),
    "performance": ("optimization",),
    "port": ("metrics_port", "port"),
    "preference": ("priority",),
    "pricing": ("price",),
    "privacy": ("privacy_mode",),
    "prompt": ("system_prompt", "input"),
    "prompt_cost": ("input",),
    "providers": ("components",),
    "pull": ("pull_on_start",),
    "rank": ("r",),
    "requests_per_minute": ("requests", "rate_limit"),
    "retry": ("retry_policy", "max_retries"),
    "retries": ("max_retries", "max_attempts", "retry_policy"),
    "route": ("target",),
    "router": ("routing_rules",),
    "routes": ("routing_rules",),
    "routing": ("routing_rules",),
    "rpm": ("requests", "rate_limit"),
    "rule": ("condition",),
    "rules": ("routing_rules",),
    "sampling": ("trace_sample_rate",),
    "secret": ("api_key", "token"),
    "services": ("components",),
    "settings": ("config", "server"),
    "strategy": ("strategies", "policy"),
    "system": ("system_prompt",),
    "telemetry": ("monitoring",),
    "temp": ("temperature",),
    "then": ("target",),
    "threads": ("cpu_threads",),
    "timeout": ("timeout_seconds", "timeout"),
    "to": ("target",),
    "token": ("api_key", "token"),
    "tokens_per_minute": ("tokens", "rate_limit"),
    "tpm": ("tokens", "rate_limit"),
    "tracing": ("trace_enabled",),
    "ttl": ("cache_ttl", "ttl"),
    "tz": ("timezone",),
    "upstreams": ("components",),
    "uri": ("base_url",),
    "url": ("base_url", "webhook"),
    "use": ("target",),
    "vendor": ("provider",),
    "weight": ("weights",),
    "when": ("condition",),
    "workers": ("parallel_requests",),
}
"""Words that other programs use for what has another name here; the first that the place knows is meant."""
_VALUES: dict[str, tuple[str, ...]] = {
    "anthropic": ("openai_compatible",),
    "azure": ("openai_compatible",),
    "azure_openai": ("azure",),
    "chatgpt": ("openai",),
    "claude": ("anthropic",),
    "cloud": ("openai_compatible", "public"),
    "debugging": ("DEBUG",),
    "fatal": ("CRITICAL",),
    "fireworks_ai": ("fireworks",),
    "function_calling": ("tools",),
    "functions": ("tools",),
    "google": ("gemini",),
    "gpt": ("openai_compatible", "openai"),
    "grok": ("xai",),
    "groq": ("openai_compatible",),
    "hf": ("huggingface",),
    "hub": ("huggingface",),
    "images": ("vision",),
    "json_mode": ("json",),
    "kimi": ("moonshot",),
    "llama-cpp": ("llamacpp",),
    "llama.cpp": ("llamacpp",),
    "local": ("local_only", "llamacpp"),
    "mistral": ("openai_compatible",),
    "mistralai": ("mistral",),
    "offline": ("local_only",),
    "openai": ("openai_compatible",),
    "pictures": ("vision",),
    "plain": ("text",),
    "random": ("weighted",),
    "speech": ("audio",),
    "structured_outputs": ("json",),
    "thinking": ("reasoning",),
    "together": ("openai_compatible",),
    "together_ai": ("together",),
    "togetherai": ("together",),
    "tool_calling": ("tools",),
    "tool_use": ("tools",),
    "trace": ("DEBUG",),
    "transformers": ("pytorch",),
    "urgent": ("critical",),
    "warn": ("WARNING",),
}
_MOST_COMPARED = 20_000
"""Pairs of words compared for one file: with thousands of slips, only the first get a suggestion."""
_MOST_LISTED = 8


class Suggestions:
    """Finds likely spellings, within an amount of work that no file can exceed."""

    def __init__(self) -> None:
        self._left = _MOST_COMPARED

    def nearest(self, word: str, known: Collection[str]) -> str | None:
        """Give the known word that was likely meant; None where none is near."""
        meant = self.synonym(word, known)
        if meant is not None:
            return meant
        folded = _folded(word)
        own = {name.lower(): name for name in known}
        # A slip in a word of another program may be nearer to that word than to what it is called here.
        foreign = {
            other: meant
            for table in (_SYNONYMS, _VALUES)
            for other, all_meant in table.items()
            if other not in own and (meant := next((name for name in all_meant if name in known), None))
        }
        self._left -= len(own) + len(foreign)
        if self._left < 0 or len(word) > 100:  # noqa: PLR2004 - no key or name is that long
            return None
        near = difflib.get_close_matches(folded, own, n=1, cutoff=0.6)
        near += difflib.get_close_matches(folded, foreign, n=1, cutoff=0.8)
        best = max(near, key=lambda other: difflib.SequenceMatcher(None, other, folded).ratio(), default=None)
        return None if best is None else own.get(best) or foreign[best]

    def synonym(self, word: str, known: Collection[str]) -> str | None:
        """Give the known word for what other programs call `word`; None where there is none."""
        return next((meant for meant in self.synonyms(word) if meant in known and meant != word), None)

    def synonyms(self, word: str) -> tuple[str, ...]:
        """Give all that is called `word` in other programs, wherever it stands here."""
        return (*_SYNONYMS.get(_folded(word), ()), *_VALUES.get(word.lower(), _VALUES.get(_folded(word), ())))

    def hint(self, word: str, known: Collection[str]) -> str:
        """Give the end of a message: the likely spelling, else a list of what is known."""
        near = self.nearest(word, known)
        if near is not None:
            return f"did you mean {near}?"
        return f"known: {listed(known)}"


def _folded(word: str) -> str:
    return word.lower().replace("-", "_").replace(" ", "_")


def listed(words: Iterable[str]) -> str:
    """Put words in a row, the first few of many."""
    names = list(words)
    shown = ", ".join(names[:_MOST_LISTED])
    return f"{shown}, and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else shown or "none"
