"""What each operator means: which kinds it takes, what it makes of a missing value, and the closure that does it."""

from __future__ import annotations

import ast
import functools
import operator
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llamafarm.conditions.error import ConditionError
from llamafarm.conditions.names import CALLS, WEEKDAYS, Kind, known_name_near, nearest
from llamafarm.conditions.terms import EVERY_HOUR, Term, constant, derived

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llamafarm.conditions.facts import Facts
    from llamafarm.conditions.terms import Read

__all__ = ["all_of", "any_of", "arithmetic", "compared", "minus", "negated", "not_a_condition"]

_TAGS = frozenset({"tag"})
"""What a term depends on that asks for tags alone."""
_LARGEST = 1e300
"""Numbers beyond it, either way, count as missing: short of it no operation overflows."""
_ORDER: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = MappingProxyType(
    {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
)
_EQUALITY: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = MappingProxyType(
    {ast.Eq: operator.eq, ast.NotEq: operator.ne}
)
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = MappingProxyType(
    {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
        ast.Mod: operator.mod,
    }
)


def all_of(terms: tuple[Term, ...], like: Term) -> Term:
    """Join conditions by `and`."""
    _require_truths(terms, "and")
    weeks = [term.week for term in terms if term.week is not None]
    week = functools.reduce(operator.and_, weeks, EVERY_HOUR)
    if not week or any(term.is_constant and not term.value for term in terms):
        return constant(Kind.TRUTH, False, like)
    changing = tuple(term for term in terms if not term.is_constant)
    if not changing:
        return constant(Kind.TRUTH, True, like)
    # Every part has to hold, so the tags of any one will do: the fewest.
    only_with = min((term.only_with for term in changing if term.only_with is not None), key=len, default=None)
    return derived(
        Kind.TRUTH, _conjunction([term.read for term in changing]), changing, like, week=week, only_with=only_with
    )


def any_of(terms: tuple[Term, ...], like: Term) -> Term:
    """Join conditions by `or`."""
    _require_truths(terms, "or")
    weeks = [term.week for term in terms if term.week is not None]
    week = functools.reduce(operator.or_, weeks, 0)
    if week == EVERY_HOUR or any(term.is_constant and term.value for term in terms):
        return constant(Kind.TRUTH, True, like)
    changing = tuple(term for term in terms if not term.is_constant)
    if not changing:
        return constant(Kind.TRUTH, False, like)
    tags = [term.only_with for term in changing if term.only_with is not None]
    only_with = frozenset[str]().union(*tags) if len(tags) == len(changing) else None
    return derived(
        Kind.TRUTH, _disjunction([term.read for term in changing]), changing, like, week=week, only_with=only_with
    )


def negated(term: Term, like: Term) -> Term:
    """Turn a condition round. Two-valued: what was false for a missing value becomes true."""
    _require_truths((term,), "not")
    read = term.read
    week = None if term.week is None else EVERY_HOUR & ~term.week
    return derived(Kind.TRUTH, lambda facts: not read(facts), (term,), like, week=week)


def minus(term: Term, like: Term) -> Term:
    """Give a number's negative."""
    if term.kind is not Kind.NUMBER:
        raise ConditionError(f"`{term.source}` is {term.kind}: only a number has a negative", term.offset)
    read = term.read
    return derived(Kind.NUMBER, lambda facts: None if (value := read(facts)) is None else -value, (term,), like)


def arithmetic(sign: ast.operator, left: Term, right: Term, like: Term) -> Term:
    """Calculate with two numbers; missing where one is, where the divisor is 0, or where the result is too large."""
    combine = _ARITHMETIC.get(type(sign))
    if combine is None:
        raise ConditionError("numbers are combined with + - * / %", left.offset)
    for term in (left, right):
        if term.kind is not Kind.NUMBER:
            raise ConditionError(f"`{term.source}` is {term.kind}: only numbers are calculated with", term.offset)
    read_left, read_right = left.read, right.read
    divides = isinstance(sign, ast.Div | ast.Mod)

    def calculate(facts: Facts) -> Any:
        first, second = read_left(facts), read_right(facts)
        if first is None or second is None or (divides and not second):
            return None
        result = combine(first, second)
        return result if -_LARGEST < result < _LARGEST else None

    term = derived(Kind.NUMBER, calculate, (left, right), like)
    if divides and right.is_constant and not right.value:
        raise ConditionError("a division by zero is never a number", right.offset)
    return term


def compared(sign: ast.cmpop, left: Term, right: Term, like: Term) -> Term:
    """Compare two values; false where one is missing, but for `== null` and `!= null`."""
    if isinstance(sign, ast.In | ast.NotIn):
        return _contained(left, right, like, negative=isinstance(sign, ast.NotIn))
    if Kind.NULL in (left.kind, right.kind):
        return _presence(sign, left, right, like)
    compare = _EQUALITY.get(type(sign)) or _ORDER.get(type(sign))
    if compare is None:
        raise ConditionError("values are compared with == != < <= > >=, `in` and `not in`", left.offset)
    left, right = _same_kind(left, right)
    if type(sign) in _ORDER and left.kind not in (Kind.NUMBER, Kind.TEXT):
        raise ConditionError(f"`{left.source}` is {left.kind}, which has no order: use ==, != or `in`", left.offset)
    return derived(Kind.TRUTH, _comparison(compare, left, right), (left, right), like)


def _comparison(compare: Callable[[Any, Any], bool], left: Term, right: Term) -> Read:
    read, read_right = left.read, right.read
    if right.is_constant and right.value is not None:
        limit = right.value
        return lambda facts: (value := read(facts)) is not None and compare(value, limit)
    return lambda facts: (
        (value := read(facts)) is not None and (other := read_right(facts)) is not None and compare(value, other)
    )


def _same_kind(left: Term, right: Term) -> tuple[Term, Term]:
    for term in (left, right):
        if term.kind in (Kind.NUMBERS, Kind.TEXTS):
            raise ConditionError(f"`{term.source}` is {term.kind}: ask what is in it with `in`", term.offset)
    if left.kind is Kind.WEEKDAY or right.kind is Kind.WEEKDAY:
        left, right = _weekday(left), _weekday(right)
    if left.kind is not right.kind:
        for term in (left, right):
            if term.names == _TAGS and term.source.isidentifier():
                raise ConditionError(_only_a_tag(term.source), term.offset)
        raise ConditionError(
            f"`{left.source}` is {left.kind} and `{right.source}` is {right.kind}: "
            f"they never compare{_quoted(left, right)}",
            right.offset,
        )
    return left, right


def _only_a_tag(word: str) -> str:
    """Say what a bare word is that is compared like a fact, and what was meant."""
    meant = known_name_near(word)
    instead = (
        f"for the fact write {CALLS.get(meant, meant)}"
        if meant
        else f'for what the caller says of it write request.metadata["{word}"]'
    )
    return f"`{word}` is read as a tag, which a request has or has not: {instead}"


def _quoted(left: Term, right: Term) -> str:
    """Say how a number is written that is to be compared with a text."""
    for term in (left, right):
        if term.kind is Kind.NUMBER and term.is_constant:
            return f'; as a text it is "{term.source}"'
    return ""


def _weekday(term: Term) -> Term:
    """Take a literal for the weekday it names, in any case; other texts stay what they are."""
    if term.kind is not Kind.TEXT:
        return term
    if not term.is_constant:
        raise ConditionError(f"`{term.source}` is {term.kind}: compare a weekday with a literal", term.offset)
    return constant(Kind.WEEKDAY, _weekday_named(term.value, term.offset), term)


def _weekday_named(name: str, offset: int) -> str:
    day = name.lower()
    if day in WEEKDAYS:
        return day
    alike = [known for known in WEEKDAYS if known.startswith(day[:1])]
    # Short forms first: "wed" is too far from its day for a spelling distance.
    short = (known for known in alike if len(day) > 1 and known.startswith(day))
    meant = next(short, None) or nearest(day, alike) or nearest(day, WEEKDAYS)
    instead = f'did you mean "{meant}"?' if meant else "weekdays are " + ", ".join(WEEKDAYS)
    raise ConditionError(f'"{name}" is no weekday: {instead}', offset)


def _presence(sign: ast.cmpop, left: Term, right: Term, like: Term) -> Term:
    if type(sign) not in _EQUALITY:
        raise ConditionError("null has no order: write == null or != null", like.offset)
    wanted = isinstance(sign, ast.Eq)
    subject = right if left.kind is Kind.NULL else left
    if subject.kind is Kind.NULL:
        return constant(Kind.TRUTH, wanted, like)
    if not subject.may_miss:
        return constant(Kind.TRUTH, not wanted, like)
    read = subject.read
    return derived(Kind.TRUTH, lambda facts: (read(facts) is None) is wanted, (subject,), like)


def _contained(item: Term, container: Term, like: Term, *, negative: bool) -> Term:
    if item.kind is Kind.WEEKDAY and container.kind is Kind.TEXTS and container.is_constant:
        days = frozenset(_weekday_named(day, container.offset) for day in sorted(container.value))
        container = constant(Kind.TEXTS, days, container)
    elif (item.kind, container.kind) not in (
        (Kind.NUMBER, Kind.NUMBERS),
        (Kind.TEXT, Kind.TEXTS),
        (Kind.TEXT, Kind.TEXT),
    ):
        raise ConditionError(
            f"`{item.source}` is {item.kind} and `{container.source}` is {container.kind}: "
            "`in` looks for a text in a text, or for an item in a list of its kind",
            container.offset,
        )
    read, read_container = item.read, container.read

    def is_in(facts: Facts) -> bool:
        value, among = read(facts), read_container(facts)
        return value is not None and among is not None and (value in among) is not negative

    return derived(Kind.TRUTH, is_in, (item, container), like)


def _require_truths(terms: tuple[Term, ...], word: str) -> None:
    for term in terms:
        if term.kind is not Kind.TRUTH:
            raise ConditionError(f"`{word}` takes conditions, {not_a_condition(term)}", term.offset)


def not_a_condition(term: Term) -> str:
    """Say what a value is, and what would make a condition of it."""
    example = {Kind.NUMBER: " > 0", Kind.TEXT: ' == "…"', Kind.WEEKDAY: ' == "monday"'}.get(term.kind)
    if term.kind in (Kind.NUMBERS, Kind.TEXTS):
        return f"`{term.source}` is {term.kind}: ask what is in it with `in`"
    if example is None or term.is_constant:
        return f"`{term.source}` is {term.kind}: compare something with it"
    return f"`{term.source}` is {term.kind}: compare it to something, as in {term.source}{example}"


def _conjunction(reads: list[Read]) -> Read:
    if len(reads) == 1:
        return reads[0]
    if len(reads) == 2:  # noqa: PLR2004 — two are the usual case and take half the time of a loop
        first, second = reads
        return lambda facts: first(facts) and second(facts)
    return lambda facts: all(read(facts) for read in reads)


def _disjunction(reads: list[Read]) -> Read:
    if len(reads) == 1:
        return reads[0]
    if len(reads) == 2:  # noqa: PLR2004 — two are the usual case and take half the time of a loop
        first, second = reads
        return lambda facts: first(facts) or second(facts)
    return lambda facts: any(read(facts) for read in reads)
