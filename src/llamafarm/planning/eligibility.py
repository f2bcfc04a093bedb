"""Says of one target and one call whether the target may be asked, and why not: limits, abilities, privacy, key."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from llamafarm.planning import money
from llamafarm.planning.addresses import is_loopback, is_plain_http

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llamafarm.conditions import Input
    from llamafarm.hardware import Hardware
    from llamafarm.spec.strategy import Constraints
    from llamafarm.types import Call, Target

__all__ = ["Verdict", "bars", "forbidden", "judge"]

_CLOUD_MODELS = ("-cloud", ":cloud")
_ABILITIES = (
    ("vision", "requires_vision"),
    ("tools", "requires_tools"),
    ("json", "requires_json"),
    ("audio", "requires_audio"),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a target may be asked, and each reason why not."""

    target: Target
    reasons: tuple[str, ...] = ()

    @property
    def eligible(self) -> bool:
        """True where nothing speaks against it."""
        return not self.reasons


def judge(target: Target, call: Call, prompt: Input, constraints: Constraints) -> Verdict:
    """Judge one target for one call. Health plays no part: it never undoes a rule."""
    return Verdict(
        target,
        (
            *target.barred,
            *_abilities(target, prompt),
            *_size(target, call, constraints),
            *money.reasons(target, call, constraints),
        ),
    )


def bars(target: Target, constraints: Constraints, dialects: frozenset[str], hardware: Hardware) -> tuple[str, ...]:
    """Give the reasons why a target can take no call at all."""
    return (*_speakable(target, dialects), *forbidden(target, constraints, hardware))


def forbidden(target: Target, constraints: Constraints, hardware: Hardware) -> tuple[str, ...]:
    """Give the reasons why the strategy's own constraints never let a target be asked."""
    return (*_models(target, constraints), *_gpu(target, constraints, hardware), *_privacy(target, constraints))


def _speakable(target: Target, dialects: frozenset[str]) -> Iterator[str]:
    if target.dialect not in dialects:
        yield f"this version does not speak to {target.provider} yet"
    if not target.model:
        yield "it has no model: give default_model"
    if target.dialect != "embedded" and target.base_url is None:
        yield "it has no address: give base_url"
    if target.api_key is not None and not target.api_key.is_set:
        yield f"{target.api_key.origin} is not set"


def _models(target: Target, constraints: Constraints) -> Iterator[str]:
    blocked = next((glob for glob in constraints.blocked_models if fnmatchcase(target.model, glob)), None)
    if blocked is not None:
        yield f"blocked_models has {blocked}"
    elif constraints.allowed_models and not any(fnmatchcase(target.model, glob) for glob in constraints.allowed_models):
        yield f"allowed_models does not have {target.model}"


def _gpu(target: Target, constraints: Constraints, hardware: Hardware) -> Iterator[str]:
    if target.settings is None or not (target.base_url is None or is_loopback(target.base_url)):
        return  # hardware elsewhere is not ours to judge
    if constraints.requires_gpu and not hardware.gpus:
        yield f"requires_gpu: {hardware.reason}"
    needed = constraints.min_gpu_memory
    if needed is not None and hardware.gpus:
        largest = max(gpu.memory_bytes for gpu in hardware.gpus)
        if largest < needed * 1e9:
            yield f"min_gpu_memory is {needed:g} GB and the largest GPU here has {largest / 1e9:.1f} GB"


def _privacy(target: Target, constraints: Constraints) -> Iterator[str]:
    mode = constraints.privacy_mode
    here = target.dialect == "embedded" or is_loopback(target.base_url)
    if mode == "local_only" and not here:
        yield "privacy_mode is local_only and it is not on this machine"
    elif mode == "local_only" and target.model.endswith(_CLOUD_MODELS):
        yield f"privacy_mode is local_only and {target.model} is the name of a model that Ollama serves from its cloud"
    elif mode == "private" and not here and is_plain_http(target.base_url):
        yield "privacy_mode is private and plain http can be read on the way"


def _abilities(target: Target, prompt: Input) -> Iterator[str]:
    if target.supports is None:
        return
    for ability, wanted in _ABILITIES:
        if getattr(prompt, wanted) and ability not in target.supports:
            yield f"it does not support {ability}"


def _size(target: Target, call: Call, constraints: Constraints) -> Iterator[str]:
    tokens = money.input_at(target, call)
    prompt = f"the prompt has about {tokens} tokens there (estimated)"
    if target.context_window is not None and tokens > target.context_window:
        yield f"{prompt} and its context window is {target.context_window}"
    if constraints.max_input_tokens is not None and tokens > constraints.max_input_tokens:
        yield f"{prompt}, its system_prompt included, and max_input_tokens is {constraints.max_input_tokens}"
    if constraints.max_tokens is not None and tokens >= constraints.max_tokens:
        yield f"{prompt}, its system_prompt included, which leaves none of max_tokens ({constraints.max_tokens})"
