"""What a rule's condition is once it is compiled: a function of the facts, and what it says about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llamafarm.conditions.compiler import Compiler
from llamafarm.conditions.error import ConditionError
from llamafarm.conditions.names import Kind
from llamafarm.conditions.operators import not_a_condition
from llamafarm.conditions.syntax import parse

if TYPE_CHECKING:
    from llamafarm.conditions.facts import Facts
    from llamafarm.conditions.terms import Read

__all__ = ["Condition", "compile_condition"]


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. Calling it tells whether it holds; that never raises, whatever the request is like."""

    text: str
    tags: frozenset[str]
    """The tags it asks for, as bare words or by `tag`."""
    names: frozenset[str]
    """The facts it asks for, like ``input.length``; a call or a key without its argument, like ``input.contains``."""
    warnings: tuple[str, ...]
    """Bare words that look like a fact's name."""
    is_constant: bool | None
    """What it always is, where it can never change; None for an ordinary condition."""
    only_with: frozenset[str] | None
    """It can hold only for a request with one of these tags, so among many rules the others need not be asked; None: it
    may hold without any."""
    _holds: Read = field(repr=False, compare=False)

    def __call__(self, facts: Facts) -> bool:
        """Tell whether it holds for a request."""
        holds: bool = self._holds(facts)
        return holds


def compile_condition(text: str) -> Condition:
    """Read, check and compile a condition. Raises `ConditionError` with the place and what to write instead."""
    tree = parse(text)
    compiler = Compiler(tree)
    root = compiler.term(tree.root)
    if root.kind is not Kind.TRUTH:
        raise ConditionError(f"this is no condition: {not_a_condition(root)}", root.offset)
    return Condition(
        text,
        frozenset(compiler.tags),
        frozenset(compiler.names),
        tuple(dict.fromkeys(compiler.warnings)),
        bool(root.value) if root.is_constant else None,
        root.only_with,
        root.read,
    )
