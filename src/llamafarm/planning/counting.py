"""How many tokens a prompt has at a target: counted with the target's own tokenizer where that can matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llamafarm.planning import money
from llamafarm.tokens import TokenizerError, upper_bound
from llamafarm.types import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

    from llamafarm.conditions import Input
    from llamafarm.spec.strategy import Constraints
    from llamafarm.tokens import Counter
    from llamafarm.types import Call, Target

__all__ = ["ESTIMATE", "Size", "Sizes"]

ESTIMATE = "estimate"
_HOPELESS = 4
"""A prompt estimated at so many times a limit is above it: no text has 16 characters a token all through."""
_MOST_COUNTED = 1_000_000
"""Bytes: a longer prompt is estimated, because counting it would take seconds."""
_EXTRA = 4
"""Tokens that a chat template puts around the target's own system prompt, as the estimate counts them."""


class Size(NamedTuple):
    """The tokens of a prompt."""

    tokens: int
    by: str = ESTIMATE
    """The name of the tokenizer that counted them, or `ESTIMATE`."""

    @property
    def counted(self) -> bool:
        """Whether a tokenizer counted them."""
        return self.by != ESTIMATE

    def __str__(self) -> str:
        if not self.counted:
            return f"about {self.tokens:,} tokens (estimated)"
        return f"{self.tokens:,} tokens (counted with its own tokenizer)"

    @property
    def there(self) -> str:
        """The same as part of a target's reasons."""
        return str(self).replace(" tokens", " tokens there", 1)


class Sizes:
    """The tokens of one call's prompt, target by target; `find` gives a target's tokenizer, if it has one."""

    __slots__ = ("_call", "_constraints", "_counted", "_counts", "_find", "_prompt")

    def __init__(
        self, call: Call, prompt: Input, constraints: Constraints, find: Callable[[Target], Counter | None]
    ) -> None:
        self._call = call
        self._prompt = prompt
        self._constraints = constraints
        self._find = find
        self._counts: dict[int, int | None] = {}
        """By tokenizer; None where it could not take the prompt."""
        self._counted: dict[Target, Size] = {}

    def at(self, target: Target) -> Size:
        """Give the size at a target; counts it only where a limit is near enough for the estimate to be wrong."""
        return self.counted_at(target) if self._matters(target) else Size(money.input_at(target, self._call))

    def counted_at(self, target: Target) -> Size:
        """Give the size at a target, counted where it has a tokenizer; notes the count on the call."""
        if target not in self._counted:
            self._counted[target] = self._size(target)
        return self._counted[target]

    def _size(self, target: Target) -> Size:
        call = self._call
        estimated = Size(money.input_at(target, call))
        counter = self._counter(target)
        prompt = None if counter is None else self._count(counter)
        if counter is None or prompt is None:
            return estimated
        system = self._system(target)
        try:
            own = _EXTRA + counter.count(system) if system else 0
        except TokenizerError:
            return estimated
        call.counted[target] = min(prompt + own, self._bound(target))
        return Size(call.counted[target], counter.name)

    def of_prompt(self, target: Target) -> Size:
        """Give the size of the caller's prompt alone, counted as at `target`."""
        counter = self._counter(target)
        counted = None if counter is None else self._count(counter)
        if counter is None or counted is None:
            return Size(self._call.input_tokens)
        return Size(min(counted, self._call.input_bytes), counter.name)

    def _counter(self, target: Target) -> Counter | None:
        return self._find(target) if self._call.input_bytes <= _MOST_COUNTED else None

    def _count(self, counter: Counter) -> int | None:
        if id(counter) not in self._counts:
            try:
                self._counts[id(counter)] = self._prompt.tokens_by(counter.count)
            except TokenizerError:
                self._counts[id(counter)] = None
        return self._counts[id(counter)]

    def _matters(self, target: Target) -> bool:
        """Tell whether a count could decide otherwise than the estimate does."""
        limits, call = self._constraints, self._call
        total = limits.max_tokens
        least = _least(target.context_window, limits.max_input_tokens)
        least = _least(least, None if total is None else total - 1)
        if least is None:
            return False
        bound = self._bound(target)
        if bound > least:
            return call.input_tokens <= _HOPELESS * least
        if total is None or call.operation not in (Operation.CHAT, Operation.COMPLETION):
            return False
        # It fits; but what max_tokens leaves for the answer may still depend on it.
        left, most = total - bound, limits.max_output_tokens
        if most is not None and most <= left:
            return False
        asked = money.asked_output(call.body, target)
        return asked is None or asked > left

    def _bound(self, target: Target) -> int:
        """Bound the tokens from above, images left out as they are in the estimate."""
        system = self._system(target)
        return self._call.input_bytes + (_EXTRA + upper_bound(system) if system else 0)

    def _system(self, target: Target) -> str:
        return target.defaults.get("system_prompt", "") if self._call.takes_system else ""


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None or (other is not None and other < one) else one
