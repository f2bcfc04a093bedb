"""Which nodes of a syntax tree are allowed, and the checked term that each becomes.

A node that is not handled here is refused: the list below is the whole language.
"""

from __future__ import annotations

import ast
import operator
import re
from typing import TYPE_CHECKING

from llamafarm.conditions import operators
from llamafarm.conditions.error import ConditionError
from llamafarm.conditions.names import CALLS, GROUPS, NAMES, Kind, known_name_near, nearest
from llamafarm.conditions.patterns import compile_pattern, containing
from llamafarm.conditions.terms import Term, constant

if TYPE_CHECKING:
    from llamafarm.conditions.facts import Facts
    from llamafarm.conditions.syntax import Tree
    from llamafarm.conditions.terms import Read

__all__ = ["Compiler"]

_DEEPEST = 48
"""Levels of the syntax tree: bounds the stack that evaluating takes."""
_TAG = "tag"
_LENGTHS = frozenset({"len", "length", "size", "strlen"})
"""What other languages call the function that counts characters."""


class Compiler:
    """Turns one syntax tree into a term, and notes what the condition names on the way."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._depth = 0
        self.names: set[str] = set()
        self.tags: set[str] = set()
        self.warnings: list[str] = []

    def term(self, node: ast.expr) -> Term:
        """Check a node and all below it. Raises `ConditionError` for what is not allowed."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ConditionError(
                f"the condition is nested more than {_DEEPEST} deep: split the rule", self._offset(node)
            )
        term = self._inner(node)
        self._depth -= 1
        return term

    def _inner(self, node: ast.expr) -> Term:
        match node:
            case ast.Constant():
                return self._literal(node)
            case ast.Name():
                return self._bare_word(node)
            case ast.Attribute():
                return self._fact(node)
            case ast.Call():
                return self._call(node)
            case ast.Subscript():
                return self._metadata(node)
            case ast.List() | ast.Tuple():
                return self._list(node)
            case _:
                return self._operation(node)

    def _operation(self, node: ast.expr) -> Term:
        like = self._like(node)
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                return operators.all_of(tuple(self.term(value) for value in values), like)
            case ast.BoolOp(op=ast.Or(), values=values):
                return operators.any_of(tuple(self.term(value) for value in values), like)
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                return operators.negated(self.term(operand), like)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return operators.minus(self.term(operand), like)
            case ast.BinOp(left=left, op=sign, right=right):
                self._refuse_dashed_tag(node)
                return operators.arithmetic(sign, self.term(left), self.term(right), like)
            case ast.Compare():
                return self._comparison(node, like)
            case _:
                raise self._error(node, "this is not part of the rule language")

    def _comparison(self, node: ast.Compare, like: Term) -> Term:
        terms = [self.term(side) for side in (node.left, *node.comparators)]
        pairs = zip(node.ops, terms, terms[1:], strict=False)
        compared = tuple(operators.compared(sign, left, right, like) for sign, left, right in pairs)
        return compared[0] if len(compared) == 1 else operators.all_of(compared, like)

    def _literal(self, node: ast.Constant) -> Term:
        like = self._like(node)
        match node.value:
            case None:
                return constant(Kind.NULL, None, like)
            case bool():
                return constant(Kind.TRUTH, node.value, like)
            case int() | float():
                return constant(Kind.NUMBER, node.value, like)
            case str():
                return constant(Kind.TEXT, node.value, like)
            case _:
                raise self._error(node, "this is not part of the rule language")

    def _list(self, node: ast.List | ast.Tuple) -> Term:
        items = [self.term(item) for item in node.elts]
        kinds = {item.kind for item in items}
        if not items:
            raise self._error(node, "an empty list holds nothing: put texts or numbers in it")
        if not all(item.is_constant for item in items) or len(kinds) != 1 or not kinds <= {Kind.TEXT, Kind.NUMBER}:
            raise self._error(node, 'a list holds literal texts or literal numbers, as in ["a", "b"]')
        kind = Kind.TEXTS if kinds == {Kind.TEXT} else Kind.NUMBERS
        return constant(kind, frozenset(item.value for item in items), self._like(node))

    def _bare_word(self, node: ast.Name) -> Term:
        word = node.id
        if word in GROUPS:
            example = next(name for name in NAMES if name.startswith(word))
            raise self._error(node, f"`{word}` is a group of facts: say which, as in {example}")
        if word == _TAG:
            raise self._error(node, f"`tag` is written {CALLS[_TAG]}")
        meant = known_name_near(word)
        if meant is not None:
            spelled = CALLS.get(meant, meant)
            self.warnings.append(f'`{word}` is read as a tag; for the fact write {spelled}, for the tag tag("{word}")')
        return self._tag(node, word)

    def _tag(self, node: ast.expr, tag: str) -> Term:
        self.tags.add(tag)
        source, offset = self._tree.source(node), self._offset(node)
        names, only_with = frozenset({_TAG}), frozenset({tag})
        return Term(Kind.TRUTH, lambda facts: tag in facts.tags, source, offset, names, only_with=only_with)

    def _fact(self, node: ast.Attribute) -> Term:
        name = self._dotted(node)
        fact = NAMES.get(name)
        if fact is None:
            raise self._unknown(node, name)
        return self._reading(node, fact.kind, operator.attrgetter(name), name, may_miss=fact.may_miss)

    def _dotted(self, node: ast.Attribute) -> str:
        """Give `group.name`, the only attribute there is; refuse every other."""
        if isinstance(node.value, ast.Name):
            group = node.value.id
            if group in GROUPS:
                return f"{group}.{node.attr}"
            meant = nearest(group, GROUPS)
            instead = f"did you mean `{meant}`?" if meant else "facts begin with " + ", ".join(sorted(GROUPS))
            raise self._error(node, f"`{group}` is not known: {instead}")
        at = self._tree.end(node) - len(node.attr)
        match node.value, node.attr:
            case ast.Attribute(attr="metadata"), key:
                instead = f'write request.metadata["{key}"]'
            case ast.Attribute(attr="text"), "contains" | "matches":
                instead = f'write input.{node.attr}("…")'
            case _, "contains":
                instead = f'write "…" in {self._tree.source(node.value)}'
            case _:
                instead = "facts have a single dot, as in input.length"
        raise ConditionError(f"`{self._tree.source(node.value)}` has no `{node.attr}`: {instead}", at)

    def _unknown(self, node: ast.Attribute, name: str) -> ConditionError:
        if name in CALLS:
            return self._error(node, f"`{name}` is written {CALLS[name]}")
        group, _, attribute = name.partition(".")
        known = [fact.partition(".")[2] for fact in (*NAMES, *CALLS) if fact.startswith(f"{group}.")]
        meant = nearest(attribute, known)
        instead = f"did you mean `{group}.{meant}`?" if meant else "it has " + ", ".join(known)
        at = self._tree.end(node) - len(attribute)
        return ConditionError(f"`{group}` has no `{attribute}`: {instead}", at)

    def _call(self, node: ast.Call) -> Term:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if isinstance(node.func, ast.Attribute):
            name = self._dotted(node.func)
        if name == _TAG:
            return self._tag(node, self._texts(node, name, most=1)[0])
        if name == "input.contains":
            needles = tuple(text.casefold() for text in self._texts(node, name))
            return self._reading(node, Kind.TRUTH, containing(needles), name)
        if name == "input.matches":
            (pattern,) = self._texts(node, name, most=1)
            search = compile_pattern(pattern, self._offset(node.args[0]))
            return self._reading(node, Kind.TRUTH, lambda facts: search(facts.input.encoded) is not None, name)
        if name in NAMES:
            raise self._error(node, f"`{name}` is a value and takes no argument: drop the parentheses")
        if isinstance(node.func, ast.Attribute):
            if name in CALLS:
                raise self._error(node, f"`{name}` is written {CALLS[name]}")
            raise self._unknown(node.func, name)
        if name in _LENGTHS:
            raise self._error(node, f"there is no function `{name}`: write input.length")
        meant = nearest(name, [_TAG, *(call.partition(".")[2] for call in CALLS)])
        full = next((call for call in CALLS if meant and call.endswith(meant)), _TAG)
        raise self._error(node, f"there is no function `{name}`: write {CALLS[full]}")

    def _texts(self, node: ast.Call, name: str, most: int | None = None) -> list[str]:
        """Give a call's arguments, which must be literal texts with something in them."""
        if not node.args or (most is not None and len(node.args) > most):
            raise self._error(node, f"`{name}` takes {'one text' if most else 'one text or more'}: {CALLS[name]}")
        texts: list[str] = []
        for argument in node.args:
            if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
                raise self._error(argument, f"`{name}` takes literal texts only: {CALLS[name]}")
            if not argument.value:
                raise self._error(argument, f"`{name}` takes no empty text: {CALLS[name]}")
            texts.append(argument.value)
        return texts

    def _metadata(self, node: ast.Subscript) -> Term:
        name = self._dotted(node.value) if isinstance(node.value, ast.Attribute) else ""
        if name != "request.metadata":
            raise self._error(node, 'only request.metadata["…"] is read with brackets')
        if not isinstance(node.slice, ast.Constant) or not isinstance(node.slice.value, str):
            raise self._error(node.slice, 'a metadata key is a literal text: request.metadata["…"]')
        key: str = node.slice.value

        def read(facts: Facts) -> str | None:
            value = facts.request.metadata.get(key)
            return value if isinstance(value, str) else None

        return self._reading(node, Kind.TEXT, read, name, may_miss=True)

    def _refuse_dashed_tag(self, node: ast.BinOp) -> None:
        """Tell who wrote `eu-only` what it reads as."""
        if isinstance(node.op, ast.Sub) and isinstance(node.right, ast.Name):
            dashed = re.compile(r"[A-Za-z_]\w*(?:-\w+)+").match(self._tree.text, self._offset(node))
            if dashed is not None:
                raise self._error(node, f'`{dashed.group()}` reads as a subtraction: write tag("{dashed.group()}")')

    def _reading(self, node: ast.expr, kind: Kind, read: Read, name: str, *, may_miss: bool = False) -> Term:
        self.names.add(name)
        return Term(kind, read, self._tree.source(node), self._offset(node), frozenset({name}), may_miss)

    def _like(self, node: ast.expr) -> Term:
        """Give a place holder that new terms take their source and offset from."""
        return Term(Kind.NULL, lambda _: None, self._tree.source(node), self._offset(node))

    def _offset(self, node: ast.expr) -> int:
        return self._tree.offset(node)

    def _error(self, node: ast.expr, message: str) -> ConditionError:
        return ConditionError(message, self._offset(node))
