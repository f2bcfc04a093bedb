"""Where in a file a character of a text stands that may run over several lines."""

from __future__ import annotations

from collections.abc import Sequence

from llamafarm.spec.nodes import Node, Place, Scalar

__all__ = ["place_inside"]


def place_inside(node: Node, text: str, offset: int | None, lines: Sequence[str]) -> Place:
    """Give the place of a character of a scalar, whatever its line breaks; that of the scalar where it is unclear.

    Folding changes nothing but white space, so the characters between are counted.
    """
    if offset is None or not isinstance(node, Scalar):
        return node.place
    line, column = node.place
    if not node.plain:
        is_block = lines[line - 1][column - 1 : column] in ("|", ">")
        line, column = (line + 1, 1) if is_block else (line, column + 1)
    wanted, before = "".join(text.split()), len("".join(text[:offset].split()))
    behind, seen = node.place, 0
    for number in range(line, min(node.end.line, len(lines)) + 1):
        for index, character in enumerate(lines[number - 1]):
            if character.isspace() or (number == line and index < column - 1):
                continue
            if seen == len(wanted):
                return behind
            if character != wanted[seen]:
                return node.place
            if seen == before:
                return Place(number, index + 1)
            behind, seen = Place(number, index + 2), seen + 1
    return behind
