"""YAML text → nodes, strictly: one document, unique string keys, no foreign tags, bounded depth and aliases."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import NoReturn

import yaml
from yaml import events as ev

from llamafarm.spec.literals import literal_secrets
from llamafarm.spec.masking import is_secret_name
from llamafarm.spec.nodes import NOWHERE, Key, Mapping, Node, Place, Scalar, Sequence, child, plain_value
from llamafarm.spec.problems import Problems, TooManyError
from llamafarm.spec.syntax_errors import explained

__all__ = ["compose", "compose_part"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_DEPTH = 48
"""Lists and mappings inside each other; a strategy needs ten."""
MAX_ALIASED = 100_000
"""Nodes that aliases may repeat, all together."""
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAG = "tag:yaml.org,2002:"
_KINDS = {"null": type(None), "bool": bool, "int": int, "float": float}


class _StopError(Exception):
    """The text cannot be read any further; the problem is noted."""


@dataclass(slots=True)
class _Open:
    """A list or mapping that has not ended."""

    node: Sequence | Mapping
    anchor: str | None
    path: str
    is_key: bool = False
    key: str | None = None
    """The key that waits for its value."""
    key_place: Place = NOWHERE
    skip: bool = False
    """Whether the waiting key was refused, so that its value is dropped."""
    size: int = 1
    waiting: bool = False
    """Whether a key has been read and its value has not."""


def compose(text: str, problems: Problems) -> Node | None:
    """Give the document's node; None where it has none or cannot be read, and then problems say why.

    From then on the problems show none of the secrets that stand in the text.
    """
    forbidden = _FORBIDDEN.search(text, 1 if text.startswith("\ufeff") else 0)
    if forbidden is not None:
        before = text[: forbidden.start()]
        place = Place(before.count("\n") + 1, forbidden.start() - before.rfind("\n"))
        problems.error("yaml-syntax", place, "", f"the character U+{ord(forbidden[0]):04X} is not allowed in YAML")
        return None
    composer = _Composer(problems, text)
    try:
        return composer.run()
    except _StopError:
        return None
    except yaml.MarkedYAMLError as error:
        problems.error("yaml-syntax", *explained(error, text))
    except (yaml.YAMLError, ValueError) as error:
        problems.error("yaml-syntax", Place(1, 1), "", f"this is not YAML: {str(error).splitlines()[0]}")
    finally:
        part = composer.part()
        if part is not None:
            problems.conceal_literals(literal_secrets(part))
    return None


def compose_part(text: str) -> Node | None:
    """Give what of a text can be read before its first error, however little it is."""
    composer = _Composer(Problems(""), text)
    with contextlib.suppress(_StopError, TooManyError, yaml.YAMLError, ValueError):
        composer.run()
    return composer.part()


class _Composer:
    """Builds nodes from the parser's events; nothing in it recurses, so no text can exhaust a stack."""

    def __init__(self, problems: Problems, text: str) -> None:
        self._problems = problems
        self._text = text
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int] | None] = {}
        self._aliased = 0
        self._root: Node | None = None
        self._documents = 0

    def run(self) -> Node | None:
        for event in yaml.parse(self._text, Loader=_LOADER):
            match event:
                case ev.ScalarEvent():
                    self._scalar(event)
                case ev.SequenceStartEvent() | ev.MappingStartEvent():
                    self._start(event)
                case ev.SequenceEndEvent() | ev.MappingEndEvent():
                    self._end()
                case ev.AliasEvent():
                    self._alias(event)
                case ev.DocumentStartEvent():
                    self._document(event)
        return self._root

    def part(self) -> Node | None:
        """Give the root, with what was still open closed where reading stopped."""
        while self._open:
            self._end()
        return self._root

    def _document(self, event: ev.Event) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop(
                "multiple-documents", event, "a file holds one document: put every strategy under one `strategies`"
            )

    def _stop(self, code: str, event: ev.Event, message: str) -> NoReturn:
        path = self._open[-1].path if self._open else ""
        self._problems.error(code, _place(event), path, message)
        raise _StopError

    def _scalar(self, event: ev.ScalarEvent) -> None:
        place = _place(event)
        mark = event.end_mark
        end = place if mark is None else Place(mark.line + 1, mark.column + 1)
        node = Scalar(event.value, event.style is None or event.style == "", place, end)
        if event.tag is not None and event.tag != "!":
            self._tagged(event.tag, node)
        elif event.tag == "!":
            node.plain = False
        self._put(node, 1, event.anchor)

    def _tagged(self, tag: str, node: Scalar) -> None:
        kind = tag.removeprefix(_TAG)
        if kind == "str":
            node.plain = False
        elif kind not in _KINDS:
            self._problems.misread("bad-tag", node.place, self._here(), self._tag_message(tag))
        else:
            node.plain = True
            value = plain_value(node.text)
            if not (isinstance(value, _KINDS[kind]) or (kind == "float" and isinstance(value, int))):
                self._problems.misread("bad-tag", node.place, self._here(), f"the value does not fit its tag !!{kind}")

    def _start(self, event: ev.SequenceStartEvent | ev.MappingStartEvent) -> None:
        if len(self._open) >= MAX_DEPTH:
            self._stop("too-deep", event, f"nested deeper than {MAX_DEPTH} levels")
        is_map = isinstance(event, ev.MappingStartEvent)
        if event.tag is not None and event.tag not in ("!", _TAG + ("map" if is_map else "seq")):
            self._problems.misread("bad-tag", _place(event), self._here(), self._tag_message(event.tag))
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        node = Mapping(_place(event)) if is_map else Sequence(_place(event))
        parent = self._open[-1] if self._open else None
        is_key = parent is not None and isinstance(parent.node, Mapping) and not parent.waiting
        self._open.append(_Open(node, event.anchor, self._here(), is_key))

    def _end(self) -> None:
        closed = self._open.pop()
        self._put(closed.node, closed.size, closed.anchor)

    def _alias(self, event: ev.AliasEvent) -> None:
        name = event.anchor or ""
        if name not in self._anchors:
            self._stop("yaml-syntax", event, f"no anchor &{self._said(name)} stands above")
        anchored = self._anchors[name]
        if anchored is None:
            self._stop("yaml-syntax", event, f"the alias *{self._said(name)} stands inside its own anchor")
        node, size = anchored
        self._aliased += size
        if self._aliased > MAX_ALIASED:
            self._stop("too-many-aliases", event, f"aliases repeat more than {MAX_ALIASED:,} values")
        self._put(node, size, None, _place(event))

    def _put(self, node: Node, size: int, anchor: str | None, place: Place | None = None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        parent.size += size
        if isinstance(parent.node, Sequence):
            parent.node.items.append(node)
        elif parent.waiting:
            parent.waiting = False
            if not parent.skip and parent.key is not None:
                parent.node.keys[parent.key] = Key(parent.key_place, node)
        else:
            self._key(parent, node, place or node.place)

    def _key(self, parent: _Open, node: Node, place: Place) -> None:
        parent.waiting, parent.key_place, parent.skip = True, place, True
        path = parent.path
        if not isinstance(node, Scalar):
            parent.key = None
            self._problems.misread("bad-key", place, path, "a key is a word, not a list or a mapping", "")
            return
        parent.key = node.text
        keys = parent.node.keys if isinstance(parent.node, Mapping) else {}
        if node.plain and node.text == "<<":
            self._problems.misread(
                "merge-key", place, path, "`<<` merges nothing in YAML 1.2: repeat the keys, or alias a whole value"
            )
        elif node.plain and not isinstance(plain_value(node.text), str):
            self._problems.misread("bad-key", place, path, f'a key is text: quote it, "{node.text}"', node.text)
        elif node.text in keys:
            first = keys[node.text].place.line
            self._problems.misread(
                "duplicate-key", place, child(path, node.text), f"given twice; the first is on line {first}"
            )
        else:
            parent.skip = False

    def _said(self, name: str) -> str:
        """Give the name of an anchor or a tag, but not where it may be a secret that nobody has quoted."""
        key = self._open[-1].key if self._open else None
        return "…" if key is not None and is_secret_name(key) else name

    def _tag_message(self, tag: str) -> str:
        shown = "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else self._said(tag)
        hint = "quote the value" if shown == "…" else "remove it"
        return f"the tag {shown} means nothing here: {hint}"

    def _here(self) -> str:
        """Give the path of what comes next."""
        if not self._open:
            return ""
        parent = self._open[-1]
        if isinstance(parent.node, Sequence):
            return child(parent.path, len(parent.node.items))
        return child(parent.path, parent.key) if parent.waiting and parent.key is not None else parent.path


def _place(event: ev.Event) -> Place:
    mark = event.start_mark
    return Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)
