"""Every key of a strategy file that acts has a test that flips it and sees other behaviour.

Such a test carries ``@pytest.mark.key("path")`` with a path of `spec.keys`; one test may carry several.
"""

import ast
from pathlib import Path

import pytest

from llamafarm import spec
from llamafarm.spec.active import is_active

TESTS = Path(__file__).parent
KEYS = spec.keys()


def marked() -> dict[str, list[str]]:
    """Give the marked paths of every test file and where each mark stands.

    The files are read, not imported: a test that is deselected here, or needs an extra, counts all the same.
    """
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.key":
                for argument in node.args:
                    found.setdefault(ast.literal_eval(argument), []).append(f"{path.name}:{node.lineno}")
    return found


def test_marks_name_keys_that_exist():
    unknown = {path: where for path, where in marked().items() if path not in KEYS}
    assert not unknown, "these marks name no key of spec.keys()"


def test_every_active_key_has_its_test():
    found = marked()
    missing = [key for key in KEYS if is_active(key) and key not in found]
    assert not missing, f"{len(missing)} active keys have no marked test:\n" + "\n".join(missing)


def test_inactive_keys_are_not_claimed():
    claimed = {path: where for path, where in marked().items() if path in KEYS and not is_active(path)}
    allowed = {"strategies[].constraints.daily_budget", "strategies[].constraints.monthly_budget"}
    assert set(claimed) <= allowed, "a key with behaviour belongs out of spec/active.py"


@pytest.mark.parametrize(
    "key", ["strategies[].constraints.max_tokens", "strategies[].components{}.config<app>.models[].name"]
)
def test_keys_are_spelt_like_this(key):
    assert key in KEYS
