"""Shows the lines of a strategy file without the secrets that stand in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from llamafarm.spec.concealing import Concealed
from llamafarm.spec.masking import starred, without_secrets
from llamafarm.spec.nodes import Node, Place, Scalar
from llamafarm.spec.problems import source_lines

if TYPE_CHECKING:
    from llamafarm.spec.masking import Span

__all__ = ["Source"]


class Source:
    """The lines of one file; a line is looked at when it is first shown."""

    def __init__(self, text: str, unknown: Collection[Place] = ()) -> None:
        """Read a text, which need not be YAML. `unknown` has the places of keys that nobody knows."""
        from llamafarm.spec.compose import compose_part
        from llamafarm.spec.literals import literal_secrets

        self._lines = source_lines(text)
        self._shown: dict[int, str] = {}
        self._secrets = Concealed()
        self._spans: dict[int, list[Span]] = {}
        root = compose_part(text)
        if root is None:
            return
        for value in literal_secrets(root):
            self._secrets.add(value, "")
        for scalar in _secret_scalars(root, unknown):
            self._hide(scalar)

    def __len__(self) -> int:
        return len(self._lines)

    def line(self, number: int, hidden_from: int | None = None) -> str:
        """Give a line (1-based) with stars over its secrets, and over all of it from an index on; its width stays."""
        shown = self._shown.get(number)
        if shown is None:
            shown = self._without_secrets(number)
            self._shown[number] = shown
        return shown if hidden_from is None else starred(shown, [(hidden_from, len(shown))])

    def _without_secrets(self, number: int) -> str:
        line = self._lines[number - 1]
        known = [(start, end) for start, end, _ in self._secrets.spans(line)]
        return without_secrets(starred(line, [*self._spans.get(number, ()), *known]))

    def _hide(self, scalar: Scalar) -> None:
        last = min(scalar.end.line, len(self._lines))
        for number in range(scalar.place.line, last + 1):
            start = scalar.place.column - 1 if number == scalar.place.line else 0
            end = scalar.end.column - 1 if number == scalar.end.line else len(self._lines[number - 1])
            self._spans.setdefault(number, []).append((start, end))


def _secret_scalars(root: Node, unknown: Collection[Place]) -> Iterator[Scalar]:
    from llamafarm.spec.literals import keyed, looks_secret, secret_scalars

    yield from secret_scalars(root)
    for name, key in keyed(root) if unknown else ():
        if key.place in unknown and isinstance(key.value, Scalar) and looks_secret(name, key.value):
            yield key.value
