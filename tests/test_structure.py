"""The shape of the code, held by machine: sizes, public names, entry points."""

import ast
import importlib
import importlib.metadata
import pkgutil
from pathlib import Path

import pytest

import llamafarm

SOURCE = Path(llamafarm.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 55


def _name(path):
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_files_and_functions_stay_small(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES_OF_A_FILE, "split it into a package of the same name"
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > MOST_LINES_OF_A_FUNCTION
    ]
    assert not long, "split these"


def _modules():
    for module in pkgutil.walk_packages([str(SOURCE)], "llamafarm."):
        yield module.name


@pytest.mark.parametrize("name", ["llamafarm", *_modules()])
def test_every_module_says_what_is_public(name):
    module = importlib.import_module(name)
    public = module.__all__
    assert len(set(public)) == len(public)
    assert not [item for item in public if not hasattr(module, item)]
    assert module.__doc__, "a module says in one sentence what it decides"


@pytest.mark.parametrize("group", ["llamafarm.providers", "llamafarm.apps"])
def test_every_entry_point_of_ours_loads(group):
    points = importlib.metadata.entry_points(group=group)
    assert points
    for point in points:
        assert callable(point.load())


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = llamafarm.Nothing
