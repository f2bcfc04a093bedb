"""A strategy file that has been read: its values, its text, and where each key stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from llamafarm.errors import Finding, Severity
from llamafarm.spec.assemble import Draft
from llamafarm.spec.nodes import Key, Mapping, Node, Place, Scalar, Sequence, child
from llamafarm.spec.problems import Problems, shortened, unsilenced
from llamafarm.spec.strategy import StrategyFile

__all__ = ["Document", "Places"]


class Places:
    """Where each path of a document stands; looked up by path only when something is to be said."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._known: dict[str, Place] | None = None
        self._keys: dict[str, Place] = {}

    def place(self, path: str) -> Place:
        """Give the place of a path, or of the nearest part of it that the file has."""
        known = self._all()
        while path not in known:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return known[path]

    def key_place(self, path: str) -> Place:
        """Give the place of a key itself, where `place` gives that of its value."""
        self._all()
        return self._keys.get(path) or self.place(path)

    def _all(self) -> dict[str, Place]:
        if self._known is None:
            self._known = {"": Place(1, 1)}
            self._walk(self._root, "", self._known)
        return self._known

    def _walk(self, node: Node, path: str, known: dict[str, Place]) -> None:
        match node:
            case Mapping():
                for name, key in node.keys.items():
                    part = child(path, name)
                    self._keys[part] = key.place
                    known[part] = key.value.place if isinstance(key.value, Scalar) else key.place
                    self._walk(key.value, part, known)
            case Sequence():
                for index, item in enumerate(node.items):
                    part = child(path, index)
                    known[part] = item.place
                    self._walk(item, part, known)

    def key(self, *names: str | int) -> Key | None:
        """Give a key by its names and indices from the top; None where the file does not have it."""
        node: Node = self._root
        key: Key | None = None
        for name in names:
            if isinstance(name, int):
                if not isinstance(node, Sequence) or name >= len(node.items):
                    return None
                node = node.items[name]
                continue
            key = node.keys.get(name) if isinstance(node, Mapping) else None
            if key is None:
                return None
            node = key.value
        return key


@dataclass(frozen=True, slots=True)
class Document:
    """A file, and what is to be said about it: without errors, or as far as it can be read."""

    file: StrategyFile
    name: str
    """The path as the user gave it."""
    text: str = field(repr=False)
    findings: tuple[Finding, ...]
    """In file order, without warnings and infos that a comment silences."""
    places: Places = field(repr=False, compare=False)
    problems: Problems = field(repr=False, compare=False)
    drafts: tuple[Draft, ...] = field(repr=False, compare=False)
    """The strategies as they were read, each with its place in the file."""

    def place(self, path: str) -> tuple[int, int]:
        """Give line and column (both 1-based) of a path like ``strategies[0].name``, or of its nearest ancestor."""
        return self.places.place(path)

    def is_read(self, *paths: str) -> bool:
        """Tell whether all that stands at these places could be read."""
        return not any(map(self.problems.unread.touches, paths))

    def finding(self, path: str, code: str, severity: Severity, message: str) -> Finding:
        """Say something about a place of this file. `unsilenced` then drops what the file's comments silence."""
        return self.problems.finding(severity, code, self.places.place(path), path, message)

    def unsilenced(self, findings: Iterable[Finding]) -> tuple[Finding, ...]:
        """Sort findings in file order, drop warnings and infos that a comment silences, and of very many the last."""
        return shortened(unsilenced(findings, self.text))
