"""Makes up a request for a rule: from the cases in which its condition holds, then by trying variations of those."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import math
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llamafarm.conditions import ConditionError, Facts
from llamafarm.conditions.cases import cases_of
from llamafarm.conditions.names import WEEKDAYS
from llamafarm.errors import BadCallError
from llamafarm.testing.drill.examples import example_of
from llamafarm.testing.drill.sample import CODE, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from llamafarm.conditions import Condition
    from llamafarm.conditions.cases import Case
    from llamafarm.conditions.ranges import Range

__all__ = ["Found", "find_sample", "plain_sample"]

_MOST_TRIES = 3000
_LONGEST = 200_000
"""Characters a sample may have: no search goes on beyond it."""
_SWITCHES = {
    "input.has_images": "has_image",
    "input.requires_vision": "has_image",
    "input.requires_tools": "has_tools",
    "input.requires_json": "wants_json",
    "input.requires_audio": "has_audio",
    "request.stream": "stream",
}
_TEXTS = {"input.text": "text", "input.all_text": "text", "input.system": "system", "request.user": "user"}
_FIELDS = {
    "input.length": "length",
    "input.tokens": "tokens",
    "input.messages": "messages",
    "request.max_tokens": "max_tokens",
    "request.temperature": "temperature",
    "time.hour": "hour",
    "time.weekday": "weekday",
    "request.model": "model",
    **_TEXTS,
}
_OTHER_WORDS = ("Hello.", "Just say yes", "1 + 1 = ?", "?")
"""Prompts for rules that do not want the words of the usual one."""
_PADDED = ("input.length", "input.tokens")


@dataclass(frozen=True, slots=True)
class Found:
    """A request for a rule, as far as one could be made."""

    sample: Sample | None
    """None: nothing that was tried made its condition hold."""
    taken_by: str = ""
    """The condition of the earlier rule that takes every request that was found; empty: this rule decides."""


def find_sample(
    conditions: Sequence[Condition], place: int, now: datetime, *, prompts: Sequence[str] = (), strategy: str = ""
) -> Found:
    """Find a request that the rule at `place` is the first to hold for. `prompts` are a person's own, tried first.

    `strategy` is the only model that a caller can name without rules being skipped.
    """
    condition = conditions[place]
    taken: Found | None = None
    for sample in _proposals(conditions[: place + 1], prompts, strategy):
        facts = _facts(sample, now)
        if facts is None or not condition(facts):
            continue
        earlier = next((other for other in conditions[:place] if other(facts)), None)
        if earlier is None:
            return Found(sample)
        taken = taken or Found(sample, earlier.text)
    return taken or Found(None)


def plain_sample(conditions: Sequence[Condition], now: datetime) -> Sample | None:
    """Give a request that no rule holds for; None where none was found."""
    for sample in itertools.islice(_varied([Sample()], conditions, ""), _MOST_TRIES):
        facts = _facts(sample, now)
        if facts is not None and not any(condition(facts) for condition in conditions):
            return sample
    return None


def _facts(sample: Sample, now: datetime) -> Facts | None:
    try:
        return Facts.of(sample.call(stream=False), sample.moment(now))
    except BadCallError:
        return None


def _proposals(conditions: Sequence[Condition], prompts: Sequence[str], strategy: str) -> Iterator[Sample]:
    """Give requests that may do, the likeliest first."""
    built = [_built(case) for case in _cases(conditions[-1])]
    own = [replace(sample, text=prompt) for prompt in prompts for sample in (Sample(), *built)]
    return itertools.islice(_varied([*own, *built, Sample()], conditions, strategy), _MOST_TRIES)


def _cases(condition: Condition) -> tuple[Case, ...]:
    try:
        return cases_of(condition).cases
    except (ConditionError, RecursionError):
        return ()


# From a case


def _built(case: Case) -> Sample:
    """Make the request that a case describes, as far as its facts are understood."""
    changes: dict[str, Any] = {}
    snippets: list[str] = []
    # What fills a text up comes last: it has to know what is in it.
    for fact, span in sorted(case.items(), key=lambda pair: pair[0] in _PADDED):
        if fact.startswith("tag "):
            if _allows(span, True):
                changes["tags"] = changes.get("tags", frozenset()) | {fact.removeprefix("tag ")}
        elif fact in _SWITCHES:
            changes[_SWITCHES[fact]] = _allows(span, True)
        elif fact in _FIELDS:
            field = _FIELDS[fact]
            value = _value(fact, span, changes.get(field, getattr(Sample(), field)))
            if value is not _AS_IT_IS:
                changes[field] = value
        elif fact.startswith("request.metadata["):
            _set_metadata(fact, span, changes)
        elif _allows(span, True):
            _include(fact, changes, snippets)
    if snippets:
        changes["text"] = "\n".join([*snippets, *([changes["text"]] if "text" in changes else [])])
    return replace(Sample(), **changes)


_AS_IT_IS = object()


def _allows(span: Range, value: object) -> bool:
    try:
        return span.low <= (0, value, 0) <= span.high
    except TypeError:
        return False


def _value(fact: str, span: Range, now: object) -> Any:
    """Give a value within a range; `now` where that is allowed, or nothing is."""
    if now is None and span.missing:
        return _AS_IT_IS
    if not span.has_values:
        return None if span.missing else _AS_IT_IS
    allowed = (value for value in _values(fact, span, now) if _allows(span, value))
    return next(allowed, _AS_IT_IS)


def _values(fact: str, span: Range, now: object) -> Iterator[Any]:
    if fact in _PADDED:
        if _allows(span, 8):  # as long as the plain prompt is, or a little longer
            return
    elif now is not None:
        yield now
    bounds = [bound[1] for bound in (span.low, span.high) if len(bound) > 1]
    if fact == "time.weekday":
        yield from WEEKDAYS
    elif fact == "time.hour":
        yield from range(24)
    elif all(isinstance(bound, str) for bound in bounds):
        yield from (f"{bound}{end}" for bound in bounds for end in ("", "a"))
        yield from ("a", "")
    else:
        for bound in bounds:
            yield from (
                math.ceil(bound),
                math.floor(bound) + 1,
                math.ceil(bound) - 1,
                bound,
                bound + 0.01,
                bound - 0.01,
            )
        yield from (1, 0)


def _include(fact: str, changes: dict[str, Any], snippets: list[str]) -> None:
    """Add what makes a part hold that the case analysis took as it stands."""
    match ast.parse(fact, mode="eval").body:
        case ast.Call(func=ast.Attribute(attr="contains"), args=[ast.Constant(value=str() as text), *_]):
            snippets.append(text)
        case ast.Call(func=ast.Attribute(attr="matches"), args=[ast.Constant(value=str() as pattern)]):
            snippets.append(example_of(pattern) or "")
        case ast.Attribute(attr="is_code"):
            snippets.append(CODE)
        case ast.Compare(
            left=ast.Constant(value=str() as text), ops=[ast.In()], comparators=[ast.Attribute() as place]
        ):
            match ast.unparse(place):
                case "request.tags":
                    changes["tags"] = changes.get("tags", frozenset()) | {text}
                case "input.text" | "input.all_text":
                    snippets.append(text)
                case "input.system":
                    changes["system"] = f"{changes.get('system') or ''}{text}"
                case "request.user":
                    changes["user"] = f"{changes.get('user') or ''}{text}"


def _set_metadata(fact: str, span: Range, changes: dict[str, Any]) -> None:
    value = _value(fact, span, None)
    if isinstance(value, str):
        key = ast.literal_eval(fact.removeprefix("request.metadata[").removesuffix("]"))
        changes["metadata"] = MappingProxyType({**changes.get("metadata", {}), key: value})


# By trying


def _varied(samples: list[Sample], conditions: Sequence[Condition], strategy: str) -> Iterator[Sample]:
    """Give samples as they are, then with one thing changed, then with two and three."""
    yield from samples
    changes = list(_changes(conditions, strategy))
    for count in (1, 2, 3):
        for several in itertools.combinations(changes, count):
            merged = _merged(several)
            if merged is not None:
                yield from (_changed(sample, merged) for sample in samples)


def _merged(several: Iterable[tuple[str, Any]]) -> dict[str, Any] | None:
    """Put changes together; None where two are of one field that has one value only."""
    merged: dict[str, Any] = {}
    for field, value in several:
        if field == "tags" and field in merged:
            merged[field] = merged[field] | value
        elif field in merged:
            return None
        else:
            merged[field] = value
    return merged


def _changed(sample: Sample, changes: dict[str, Any]) -> Sample:
    changes = dict(changes)
    if "tags" in changes:
        changes["tags"] |= sample.tags
    if "more" in changes:
        changes["text"] = f"{changes.pop('more')}\n{sample.text}"
    return dataclasses.replace(sample, **changes)


def _changes(conditions: Sequence[Condition], strategy: str) -> Iterator[tuple[str, Any]]:
    """Give what may make a difference to conditions: what they name, and values near those they compare with.

    The last condition is the one that matters; those before it are to be passed by.
    """
    names = frozenset[str]().union(*(condition.names for condition in conditions))
    trees = [ast.walk(ast.parse(_python(condition), mode="eval")) for condition in reversed(conditions)]
    literals = [node.value for tree in trees for node in tree if isinstance(node, ast.Constant)]
    texts = list(dict.fromkeys(value for value in literals if isinstance(value, str)))
    numbers = list(dict.fromkeys(v for v in literals if isinstance(v, int | float) and not isinstance(v, bool)))
    for tag in sorted(frozenset[str]().union(*(condition.tags for condition in conditions))):
        yield "tags", frozenset({tag})
    for name, switch in _SWITCHES.items():
        if name in names:
            yield from ((switch, True), (switch, False))
    if "time.hour" in names:
        yield from (("hour", hour) for hour in range(24))
    if "time.weekday" in names:
        yield from (("weekday", day) for day in WEEKDAYS)
    if "input.is_code" in names:
        yield "text", CODE
    yield from _text_changes(texts, names)
    yield from _number_changes(numbers, names)
    if "request.model" in names and strategy:
        yield "model", strategy


def _python(condition: Condition) -> str:
    from llamafarm.conditions.syntax import parse

    return ast.unparse(parse(condition.text).root)


def _text_changes(texts: Iterable[str], names: frozenset[str]) -> Iterator[tuple[str, Any]]:
    if names & {"input.contains", "input.matches", "input.text", "input.all_text"}:
        yield from (("text", words) for words in _OTHER_WORDS)
    for text in texts:
        yield "more", text
        yield "more", example_of(text) or text
        if "request.tags" in names:
            yield "tags", frozenset({text})
        for name, field in _TEXTS.items():
            if name in names:
                yield field, text


def _number_changes(numbers: Iterable[float], names: frozenset[str]) -> Iterator[tuple[str, Any]]:
    near = [number * by + step for number in numbers for by in (1, 2, 0.5) for step in (0, 1, -1)]
    for name in ("input.length", "input.tokens", "input.messages", "request.max_tokens", "request.temperature"):
        if name not in names:
            continue
        field = _FIELDS[name]
        for number in dict.fromkeys([*near, 1, 40, 400, 4000, 40_000]):
            whole = math.ceil(number) if math.isfinite(number) else 0
            if field == "temperature":
                yield field, min(2.0, max(0.0, number))
            elif 0 < whole <= (200 if field == "messages" else _LONGEST):
                yield field, whole
    if "request.max_tokens" in names:
        yield "max_tokens", None
