"""In which cases a condition holds, as far as its shape tells; rules that can never act are found in them.

What is not understood counts as a fact of its own, by its text, that may be true or false: so nothing is ever said to
be impossible that a request could bring about.
"""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llamafarm.conditions.compiler import Compiler
from llamafarm.conditions.names import NAMES, Kind
from llamafarm.conditions.ranges import ALL, NOTHING, OPPOSITE, Range, Sign, domain, ranges, without
from llamafarm.conditions.syntax import parse

if TYPE_CHECKING:
    from llamafarm.conditions.condition import Condition
    from llamafarm.conditions.terms import Term

__all__ = ["Case", "Cases", "cases_of", "covers", "implies"]

Case = Mapping[str, Range]
"""What some facts may be at the same time; a fact that is not in it may be anything."""

_MOST = 32
"""Cases of one condition; a part that has more counts as one that is not understood."""
_TRUTHS: Mapping[bool, Range] = MappingProxyType(
    {truth: Range((0, truth, 0), (0, truth, 0)) for truth in (False, True)}
)
_EVERY: tuple[Case, ...] = (MappingProxyType({}),)
_MIRRORED: Mapping[Sign, Sign] = MappingProxyType(
    {ast.Eq: ast.Eq, ast.NotEq: ast.NotEq, ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}
)
_KINDS = frozenset({Kind.NUMBER, Kind.TEXT, Kind.WEEKDAY})
_LISTS: Mapping[Sign, Sign] = MappingProxyType({ast.In: ast.Eq, ast.NotIn: ast.NotEq})


@dataclass(frozen=True, slots=True)
class Cases:
    """The cases of one condition: it holds where at least one of them does, and nowhere else."""

    cases: tuple[Case, ...]

    @property
    def never(self) -> bool:
        """Whether the condition holds for no request."""
        return not self.cases

    @property
    def always(self) -> bool:
        """Whether the condition holds for every request."""
        return _EVERY[0] in self.cases


def cases_of(condition: Condition) -> Cases:
    """Work out the cases of a condition."""
    tree = parse(condition.text)
    reader = _Reader(Compiler(tree))
    if condition.is_constant is not None:
        return Cases(_EVERY if condition.is_constant else ())
    if not reader.cases(tree.root, holds=False):
        return Cases(_EVERY)
    return Cases(reader.cases(tree.root, holds=True))


def implies(case: Case, other: Case) -> bool:
    """Tell whether the other holds for every request that a case holds for."""
    return all(fact in case and case[fact].within(range_) for fact, range_ in other.items())


def covers(others: Iterable[Case], case: Case) -> bool:
    """Tell whether one of the others holds for every request that a case holds for; False also where it is unclear."""
    left = [case]
    for other in others:
        left = [part for one in left for part in _without(one, other)]
        if not left or len(left) > _MOST:
            break
    return not left


def _without(case: Case, other: Case) -> Iterator[Case]:
    """Give the cases in which one holds and the other does not."""
    kept = {fact: case[fact] if fact in case else _domain(fact, span) for fact, span in other.items()}
    if any(kept[fact].meet(span).is_empty for fact, span in other.items()):
        yield case
        return
    for fact, span in other.items():
        yield from ({**case, **kept, fact: rest} for rest in _left(fact, kept[fact], span))
        kept[fact] = kept[fact].meet(span)


def _left(fact: str, values: Range, taken: Range) -> tuple[Range, ...]:
    if _is_truth(taken):
        return tuple(truth for truth in _TRUTHS.values() if truth != taken and not values.meet(truth).is_empty)
    return without(fact, values, taken)


def _is_truth(span: Range) -> bool:
    """Tell whether it is one of `_TRUTHS`, which equal the numbers 0 and 1."""
    return len(span.low) > 1 and isinstance(span.low[1], bool)


def _domain(fact: str, span: Range) -> Range:
    """Give all that a fact may be; `span` is a part of it."""
    known = NAMES.get(fact)
    return domain(fact, may_miss=not _is_truth(span) and (known is None or known.may_miss))


class _Reader:
    """Reads cases from a syntax tree that is known to be a sound condition."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler

    def cases(self, node: ast.expr, *, holds: bool) -> tuple[Case, ...]:
        """Give the cases in which a part holds, or those in which it does not."""
        match node:
            case ast.BoolOp(op=op, values=values):
                parts = [self.cases(value, holds=holds) for value in values]
                return _joined(node, parts, holds=holds, every=isinstance(op, ast.And) is holds)
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                return self.cases(operand, holds=not holds)
            case ast.Compare(left=left, ops=signs, comparators=others):
                sides = itertools.pairwise([left, *others])
                pairs = [
                    ast.Compare(first, [sign], [second]) for sign, (first, second) in zip(signs, sides, strict=True)
                ]
                parts = [self._compared(ast.copy_location(pair, node), holds=holds) for pair in pairs]
                return _joined(node, parts, holds=holds, every=holds)
            case ast.Constant(value=bool() as value):
                return _EVERY if value is holds else ()
            case ast.Name(id=tag) | ast.Call(func=ast.Name(), args=[ast.Constant(value=str() as tag)]):
                return _truth(f"tag {tag}", holds=holds)
            case ast.Call(func=ast.Attribute(attr="contains"), args=[ast.Constant(), _, *_] as needles):
                calls = [ast.Call(node.func, [needle], []) for needle in needles]
                return _joined(node, [_opaque(call, holds=holds) for call in calls], holds=holds, every=not holds)
            case _:
                return _opaque(node, holds=holds)

    def _compared(self, pair: ast.Compare, *, holds: bool) -> tuple[Case, ...]:
        """Read the comparison of two values: a fact with a literal is understood, on either side."""
        whole = self._compiler.term(pair)
        if whole.is_constant:
            return _EVERY if whole.value is holds else ()
        sign, node, other = type(pair.ops[0]), pair.left, pair.comparators[0]
        fact, literal = self._compiler.term(node), self._compiler.term(other)
        if fact.is_constant and sign in _MIRRORED:
            sign, node, fact, literal = _MIRRORED[sign], other, literal, fact
        if not (isinstance(node, ast.Attribute | ast.Subscript) and fact.kind in _KINDS and literal.is_constant):
            return _opaque(pair, holds=holds)
        if sign in _LISTS and literal.kind in (Kind.NUMBERS, Kind.TEXTS):
            sign = _LISTS[sign]
        elif sign not in OPPOSITE or (literal.value is None and literal.kind is not Kind.NULL):
            return _opaque(pair, holds=holds)
        return _ranged(pair, ast.unparse(node), fact, sign, literal, holds=holds)


def _ranged(pair: ast.Compare, name: str, fact: Term, sign: Sign, literal: Term, *, holds: bool) -> tuple[Case, ...]:
    """Give the cases in which a fact compares with a literal, or with one of a list (`==`) or with all (`!=`)."""
    if not holds:
        sign = OPPOSITE[sign]
    if literal.kind is Kind.NULL:
        return ({name: Range(NOTHING.low, NOTHING.high, missing=True) if sign is ast.Eq else ALL},)
    # A comparison with a missing value is false, whatever the sign, and so its opposite is true.
    missing = fact.may_miss and not holds
    parts = []
    for value in _values(literal, fact.kind):
        found = [span for span in ranges(name, sign, value, missing=missing) if not span.is_empty]
        is_all = any(domain(name, may_miss=fact.may_miss).within(span) for span in found)
        parts.append(_EVERY if is_all else tuple({name: span} for span in found))
    return _joined(pair, parts, holds=holds, every=sign is ast.NotEq)


def _values(literal: Term, kind: Kind) -> list[Any]:
    values = sorted(literal.value) if literal.kind in (Kind.NUMBERS, Kind.TEXTS) else [literal.value]
    return [value.lower() for value in values] if kind is Kind.WEEKDAY else values


def _opaque(node: ast.expr, *, holds: bool) -> tuple[Case, ...]:
    return _truth(ast.unparse(node), holds=holds)


def _truth(name: str, *, holds: bool) -> tuple[Case, ...]:
    return ({name: _TRUTHS[holds]},)


def _joined(node: ast.expr, parts: Iterable[tuple[Case, ...]], *, holds: bool, every: bool) -> tuple[Case, ...]:
    """Give the cases in which every part has one, or those of any part; the whole as not understood if too many."""
    if not every:
        found = _fewest(itertools.chain.from_iterable(parts))
        return found if len(found) <= _MOST else _opaque(node, holds=holds)
    found = _EVERY
    for part in parts:
        if len(found) * len(part) > 4 * _MOST:
            return _opaque(node, holds=holds)
        found = _fewest(_both(found, part))
        if len(found) > _MOST:
            return _opaque(node, holds=holds)
    return found


def _both(first: Iterable[Case], second: Iterable[Case]) -> Iterator[Case]:
    for one, other in itertools.product(first, second):
        shared = {fact: one[fact].meet(other[fact]) for fact in one.keys() & other.keys()}
        if not any(range_.is_empty for range_ in shared.values()):
            yield {**one, **other, **shared}


def _fewest(cases: Iterable[Case]) -> tuple[Case, ...]:
    """Leave out cases that another one covers."""

    def with_one_more(kept: tuple[Case, ...], case: Case) -> tuple[Case, ...]:
        if any(implies(case, other) for other in kept):
            return kept
        return (*(other for other in kept if not implies(other, case)), case)

    return functools.reduce(with_one_more, cases, ())
