"""Says of one target and one call whether the target may be asked, and why not: limits, abilities, privacy, key."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from llamafarm import apps, providers
from llamafarm.planning import money
from llamafarm.planning.addresses import is_loopback, is_plain_http
from llamafarm.planning.counting import Size, Sizes
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llamafarm.conditions import Input
    from llamafarm.hardware import Hardware
    from llamafarm.spec.strategy import Constraints
    from llamafarm.types import Call, Target

__all__ = ["Verdict", "bars", "forbidden", "is_cloud_name", "judge", "over_limits"]

_CLOUD_MODELS = ("-cloud", ":cloud")
_ABILITIES = (
    ("vision", "requires_vision"),
    ("tools", "requires_tools"),
    ("json", "requires_json"),
    ("audio", "requires_audio"),
)


_ASKED = {
    Operation.CHAT: "chat",
    Operation.COMPLETION: "completions",
    Operation.EMBEDDING: "embeddings",
    Operation.IMAGE: "images",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a target may be asked, and each reason why not."""

    target: Target
    reasons: tuple[str, ...] = ()

    @property
    def eligible(self) -> bool:
        """True where nothing speaks against it."""
        return not self.reasons


def judge(target: Target, call: Call, prompt: Input, constraints: Constraints, sizes: Sizes | None = None) -> Verdict:
    """Judge one target for one call. Health plays no part: it never undoes a rule.

    `sizes` says how many tokens the prompt has at each target; without it they are estimated.
    """
    size = (sizes or Sizes(call, prompt, constraints, lambda _: None)).at(target)
    return Verdict(
        target,
        (
            *target.barred,
            *_operations(target, call),
            *_other_models(call, constraints),
            *_abilities(target, call, prompt),
            *_window(target, size),
            *over_limits(constraints, size),
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
    elif (trouble := providers.trouble(target.dialect) or apps.trouble(target.dialect)) is not None:
        yield trouble
    if not target.model:
        yield "it has no model: give default_model"
    if target.dialect != "embedded" and target.base_url is None:
        yield "it has no address: give base_url"
    if target.api_key is not None and not target.api_key.is_set:
        yield target.api_key.why_unset


def _models(target: Target, constraints: Constraints) -> Iterator[str]:
    return _model(target.model, constraints)


def _model(model: str, constraints: Constraints) -> Iterator[str]:
    blocked = next((glob for glob in constraints.blocked_models if fnmatchcase(model, glob)), None)
    if blocked is not None:
        yield f"blocked_models has {blocked}"
    elif constraints.allowed_models and not any(fnmatchcase(model, glob) for glob in constraints.allowed_models):
        yield f"allowed_models does not have {model}"


def _other_models(call: Call, constraints: Constraints) -> Iterator[str]:
    """Look at the models that a request names besides the target's: routers fall back to them on their own."""
    names = call.body.get("models")
    for name in names if isinstance(names, list | tuple) else ():
        if isinstance(name, str):
            yield from (f"the request's models has {name}, and {reason}" for reason in _model(name, constraints))


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
    elif mode == "local_only" and is_cloud_name(target.model):
        yield f"privacy_mode is local_only and {target.model} is the name of a model that Ollama serves from its cloud"
    elif mode == "private" and not here and is_plain_http(target.base_url):
        yield "privacy_mode is private and plain http can be read on the way"


def _operations(target: Target, call: Call) -> Iterator[str]:
    if call.operation not in target.operations:
        yield f"{target.provider} cannot be asked for {_ASKED[call.operation]}"


def is_cloud_name(model: str) -> bool:
    """Whether a name is one that Ollama uses for models it serves from its cloud, like ``glm-4.6:cloud``."""
    return model.strip().lower().partition("@")[0].rstrip().endswith(_CLOUD_MODELS)


def _abilities(target: Target, call: Call, prompt: Input) -> Iterator[str]:
    if call.operation is Operation.COMPLETION and call.body.get("suffix") and target.fim is None:
        yield "it has no fill-in-the-middle (supports: [fim] says that it has)"
    if target.supports is None:
        return
    if call.operation is Operation.IMAGE and "image" not in target.supports:
        yield "it does not support image"
    for ability, wanted in _ABILITIES:
        if getattr(prompt, wanted) and ability not in target.supports:
            yield f"it does not support {ability}"


def _window(target: Target, size: Size) -> Iterator[str]:
    window = target.context_window
    if window is not None and size.tokens > window:
        yield f"the prompt has {size.there} and its context window is {window}"


def over_limits(constraints: Constraints, size: Size) -> Iterator[str]:
    """Say which of the strategy's own token limits a prompt of a size is above, its system prompt included."""
    most, total = constraints.max_input_tokens, constraints.max_tokens
    if most is not None and size.tokens > most:
        yield f"the prompt has {size.there}, its system_prompt included, and max_input_tokens is {most}"
    if total is not None and size.tokens >= total:
        yield f"the prompt has {size.there}, its system_prompt included, which leaves none of max_tokens ({total})"
